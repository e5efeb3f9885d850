"""Which generations of tokens were seen: noted once each, and again where that failed (S-074)."""

import threading
from collections.abc import Callable
from typing import Any

import flask
import pytest

from itemsapi.gate import seen_generations as module
from itemsapi.gate.seen_generations import SeenGenerations
from itemsapi.problems import DatabaseUnavailable
from itemsapi.tokens.claims import Claims


class Notes:
    """Where notes are written, while `broken` is not set."""

    def __init__(self) -> None:
        """Begin with none."""
        self.written: list[tuple[str, int]] = []
        self.tries = 0
        self.broken = False

    def write(self, sid: str, gen: int) -> None:
        """Write a note, or fail as a database does that is away."""
        self.tries += 1
        if self.broken:
            raise DatabaseUnavailable
        self.written.append((sid, gen))


@pytest.fixture
def notes() -> Notes:
    """An empty place."""
    return Notes()


@pytest.fixture
def seen(notes: Notes) -> SeenGenerations:
    """A process that has seen nothing yet."""
    return SeenGenerations(notes.write)


def claims(sid: str = "s", gen: int = 2) -> Claims:
    """Return the claims of a token of a generation."""
    return Claims(
        sub="u", sid=sid, gen=gen, epoch=0, jti="j", iat=1, exp=2, auth_time=1,
        amr=("pwd",), scopes=frozenset(), raw={}, header={},
    )  # fmt: skip


def use(seen: SeenGenerations, what: Claims, answer: Callable[[], Any] = str) -> Any:
    """Answer a request with such a token; return the answer, which nobody has read yet."""
    app = flask.Flask(__name__)

    @app.get("/")
    def view() -> Any:
        seen.record_after_response(what)
        return answer()

    return app.test_client().get("/", buffered=answer is str)


ANSWERS: dict[str, Callable[[], Any]] = {
    "file": lambda: flask.send_file(__file__),
    "stream": lambda: (line for line in ("one", "two")),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_use_is_noted_before_a_file_or_a_stream_is_sent(
    seen: SeenGenerations, notes: Notes, kind: str
) -> None:
    """S-074: found by review: a thief could use a copy on such pages alone, unnoticed."""
    answer = use(seen, claims(), ANSWERS[kind])
    assert notes.written == [("s", 2)]
    answer.close()


def test_a_generation_is_noted_once_however_often_it_is_used(
    seen: SeenGenerations, notes: Notes
) -> None:
    """S-074: once per process and generation, whatever token of it comes."""
    for _ in range(20):
        use(seen, claims())
    assert (notes.written, notes.tries) == ([("s", 2)], 1)


def test_each_generation_is_noted(seen: SeenGenerations, notes: Notes) -> None:
    """S-074: of each session."""
    for what in (claims("a", 2), claims("a", 3), claims("b", 2)):
        use(seen, what)
    assert notes.written == [("a", 2), ("a", 3), ("b", 2)]


def test_the_first_generation_needs_no_note(seen: SeenGenerations, notes: Notes) -> None:
    """It counts as seen from the sign-in on."""
    use(seen, claims(gen=1))
    assert notes.tries == 0


def test_a_note_that_failed_is_tried_at_the_next_use(seen: SeenGenerations, notes: Notes) -> None:
    """S-074: and no more once it is written."""
    notes.broken = True
    use(seen, claims())
    notes.broken = False
    for _ in range(20):
        use(seen, claims())
    assert (notes.written, notes.tries) == ([("s", 2)], 2)


def test_a_note_is_tried_at_every_use_while_it_fails(seen: SeenGenerations, notes: Notes) -> None:
    """S-074: who tried alone, and failed, leaves the turn to the next."""
    notes.broken = True
    for _ in range(3):
        use(seen, claims())
    assert notes.tries == 3


def test_the_memory_of_notes_is_bounded(
    seen: SeenGenerations, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest is forgotten, and noted again when it is used again."""
    monkeypatch.setattr(module, "MAX_REMEMBERED_GENERATIONS", 2)
    for sid in ("a", "b", "c", "c", "b", "a"):
        use(seen, claims(sid))
    assert [sid for sid, _ in notes.written] == ["a", "b", "c", "a"]


def test_a_note_is_written_while_another_one_is_under_way(notes: Notes) -> None:
    """S-074: from the first on, for nothing has failed yet."""
    inside, leave = threading.Event(), threading.Event()

    def write(sid: str, gen: int) -> None:
        if sid == "slow":
            inside.set()
            leave.wait(10)
        notes.write(sid, gen)

    seen = SeenGenerations(write)
    slow = threading.Thread(target=use, args=(seen, claims("slow")))
    slow.start()
    assert inside.wait(10)
    use(seen, claims("quick"))
    leave.set()
    slow.join()
    assert [sid for sid, _ in notes.written] == ["quick", "slow"]


def test_notes_go_side_by_side_again_after_an_outage() -> None:
    """What failed once does not slow the process for ever."""
    written, broken = list[str](), True

    def write(sid: str, _gen: int) -> None:
        if broken:
            raise DatabaseUnavailable
        if sid == "first":
            use(again, claims("meanwhile")).close()
        written.append(sid)

    again = SeenGenerations(write)
    use(again, claims("s")).close()
    broken = False
    use(again, claims("s")).close()
    use(again, claims("first")).close()
    assert written == ["s", "meanwhile", "first"]


def test_one_thread_at_a_time_tries_while_notes_fail() -> None:
    """R-03: a database that says nothing holds no second thread."""
    inside, leave, tries = threading.Event(), threading.Event(), []

    def write(sid: str, _gen: int) -> None:
        tries.append(sid)
        if len(tries) > 1:
            inside.set()
            leave.wait(10)
        raise DatabaseUnavailable

    seen = SeenGenerations(write)
    use(seen, claims("first"))
    stuck = threading.Thread(target=use, args=(seen, claims("second")))
    stuck.start()
    assert inside.wait(10)
    use(seen, claims("third"))
    leave.set()
    stuck.join()
    assert tries == ["first", "second"]
