"""Seen generations of tokens: each is stored once, and again if that failed (S-074)."""

import json
import threading
from collections.abc import Callable
from typing import Any

import flask
import pytest

from itemsapi.gate import authenticate
from itemsapi.gate.authenticate import SeenGenerations
from itemsapi.problems import DatabaseUnavailable
from itemsapi.tokens.claims import Claims


class FakeStore:
    """Records the generations that are marked as seen; fails while `broken` is set."""

    def __init__(self) -> None:
        """Start empty."""
        self.written: list[tuple[str, int]] = []
        self.attempts = 0
        self.broken = False

    def mark(self, sid: str, gen: int) -> None:
        """Record a generation, or raise like an unavailable database."""
        self.attempts += 1
        if self.broken:
            raise DatabaseUnavailable
        self.written.append((sid, gen))


@pytest.fixture
def store() -> FakeStore:
    """An empty store."""
    return FakeStore()


@pytest.fixture
def seen(store: FakeStore) -> SeenGenerations:
    """A process that has seen no generation yet."""
    return SeenGenerations(store.mark)


def claims(sid: str = "s", gen: int = 2) -> Claims:
    """Return the claims of a token of a generation."""
    return Claims(
        sub="u", sid=sid, gen=gen, epoch=0, jti="j", iat=1, exp=2, auth_time=1,
        amr=("pwd",), scopes=frozenset(), raw={}, header={},
    )  # fmt: skip


def use(seen: SeenGenerations, token: Claims, body: Callable[[], Any] = str) -> Any:
    """Send a request with such a token; return the response before its body is read."""
    app = flask.Flask(__name__)

    @app.get("/")
    def view() -> Any:
        seen.record_after_response(token)
        return body()

    return app.test_client().get("/", buffered=body is str)


RESPONSES: dict[str, Callable[[], Any]] = {
    "file": lambda: flask.send_file(__file__),
    "stream": lambda: (line for line in ("one", "two")),
}


@pytest.mark.parametrize("kind", RESPONSES)
def test_a_use_is_stored_before_a_file_or_stream_is_sent(
    seen: SeenGenerations, store: FakeStore, kind: str
) -> None:
    """S-074: found by review: a thief could use a copy on such endpoints unnoticed."""
    response = use(seen, claims(), RESPONSES[kind])
    assert store.written == [("s", 2)]
    response.close()


def test_a_generation_is_stored_once_however_often_it_is_used(
    seen: SeenGenerations, store: FakeStore
) -> None:
    """S-074: once for each process and generation."""
    for _ in range(20):
        use(seen, claims())
    assert (store.written, store.attempts) == ([("s", 2)], 1)


def test_a_generation_is_stored_once_when_two_responses_wait_for_it(
    seen: SeenGenerations, store: FakeStore
) -> None:
    """S-074: both requests began before it was stored."""

    def and_once_more() -> str:
        seen.record_after_response(claims())
        return ""

    use(seen, claims(), and_once_more).close()
    assert (store.written, store.attempts) == ([("s", 2)], 1)


def test_a_generation_is_stored_once_when_it_is_used_during_the_write() -> None:
    """S-074: the second request writes nothing and does not wait."""
    written: list[str] = []

    def mark(sid: str, _gen: int) -> None:
        written.append(sid)
        if len(written) < 3:
            use(again, claims(sid))

    again = SeenGenerations(mark)
    use(again, claims("s"))
    assert written == ["s"]


def test_a_failed_write_is_logged_with_the_session(
    seen: SeenGenerations, store: FakeStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """R-35: and with the error; no request fails, so nothing else would show it."""
    store.broken = True
    use(seen, claims("the-session"))
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["session_id"], line["error"]) == (
        "generation_not_noted",
        "the-session",
        "DatabaseUnavailable",
    )


def test_each_generation_is_stored(seen: SeenGenerations, store: FakeStore) -> None:
    """S-074: of each session."""
    for token in (claims("a", 2), claims("a", 3), claims("b", 2)):
        use(seen, token)
    assert store.written == [("a", 2), ("a", 3), ("b", 2)]


def test_the_first_generation_is_not_stored(seen: SeenGenerations, store: FakeStore) -> None:
    """It counts as seen from the sign-in on."""
    use(seen, claims(gen=1))
    assert store.attempts == 0


def test_a_failed_write_is_retried_at_the_next_use(seen: SeenGenerations, store: FakeStore) -> None:
    """S-074: and no more once it has succeeded."""
    store.broken = True
    use(seen, claims())
    store.broken = False
    for _ in range(20):
        use(seen, claims())
    assert (store.written, store.attempts) == ([("s", 2)], 2)


def test_a_write_is_retried_at_every_use_while_it_fails(
    seen: SeenGenerations, store: FakeStore
) -> None:
    """S-074: a failed attempt does not block the next one."""
    store.broken = True
    for _ in range(3):
        use(seen, claims())
    assert store.attempts == 3


def test_the_memory_of_seen_generations_is_limited(
    seen: SeenGenerations, store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest is forgotten, and stored again at its next use."""
    monkeypatch.setattr(authenticate, "MAX_REMEMBERED_GENERATIONS", 2)
    for sid in ("a", "b", "c", "c", "b", "a"):
        use(seen, claims(sid))
    assert [sid for sid, _ in store.written] == ["a", "b", "c", "a"]


def test_writes_are_concurrent_while_none_has_failed(store: FakeStore) -> None:
    """S-074: from the start."""
    inside, leave = threading.Event(), threading.Event()

    def mark(sid: str, gen: int) -> None:
        if sid == "slow":
            inside.set()
            leave.wait(10)
        store.mark(sid, gen)

    seen = SeenGenerations(mark)
    slow = threading.Thread(target=use, args=(seen, claims("slow")))
    slow.start()
    assert inside.wait(10)
    use(seen, claims("quick"))
    leave.set()
    slow.join()
    assert [sid for sid, _ in store.written] == ["quick", "slow"]


def test_writes_are_concurrent_again_after_an_outage() -> None:
    """A failure does not slow down the process forever."""
    written, broken = list[str](), True

    def mark(sid: str, _gen: int) -> None:
        if broken:
            raise DatabaseUnavailable
        if sid == "first":
            use(again, claims("meanwhile")).close()
        written.append(sid)

    again = SeenGenerations(mark)
    use(again, claims("s")).close()
    broken = False
    use(again, claims("s")).close()
    use(again, claims("first")).close()
    assert written == ["s", "meanwhile", "first"]


def test_one_thread_at_a_time_writes_while_writes_fail() -> None:
    """R-03: a database that does not respond blocks no second thread."""
    inside, leave, attempts = threading.Event(), threading.Event(), []

    def mark(sid: str, _gen: int) -> None:
        attempts.append(sid)
        if len(attempts) > 1:
            inside.set()
            leave.wait(10)
        raise DatabaseUnavailable

    seen = SeenGenerations(mark)
    use(seen, claims("first"))
    stuck = threading.Thread(target=use, args=(seen, claims("second")))
    stuck.start()
    assert inside.wait(10)
    use(seen, claims("third"))
    leave.set()
    stuck.join()
    assert attempts == ["first", "second"]
