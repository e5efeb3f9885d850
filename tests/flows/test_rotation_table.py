"""The rule of rotation, row by row (docs/adr/0003): both databases, every door."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from support.app_factory import Backend
from support.forged_tokens import decode_part
from support.refresh_endpoints import REFRESH_ENDPOINTS, RefreshEndpoint, RefreshResult
from support.tokens import is_accepted, look, open_session

Build = Callable[..., Backend]
WINDOW = 20
ATTEMPT, OTHER = "attempt-0123456789abcdef", "another-0123456789abcdef"


class Client:
    """Somebody with refresh tokens of one session; `first` is that of the sign-in."""

    def __init__(self, backend: Backend, door: RefreshEndpoint, first: str) -> None:
        """Begin right after the sign-in."""
        self.backend, self.door, self.first = backend, door, first

    def shows(self, token: str | None, attempt: str = "") -> RefreshResult:
        """Present a refresh token and return the answer."""
        assert token
        return self.door.refresh(self.backend, token, attempt)

    def rotates(self, token: str | None, attempt: str = "") -> str:
        """Present a refresh token that must bring another one; return that."""
        answer = self.shows(token, attempt)
        assert (answer.status, answer.refresh_token in {None, token}) == (200, False), answer.code
        return str(answer.refresh_token)

    def waits(self, **step: float) -> None:
        """Let time pass."""
        self.backend.clock.advance(**step)

    def is_over(self, token: str | None) -> bool:
        """Tell whether the session has ended, by a token that was good."""
        answer = self.shows(token)
        return answer.status in {400, 401} and answer.code in {
            "invalid_refresh_token",
            "invalid_grant",
        }


@pytest.fixture(params=REFRESH_ENDPOINTS, ids=lambda door: str(door.name))
def door(request: pytest.FixtureRequest) -> Any:
    """Each door in turn."""
    return request.param


@pytest.fixture
def opened(make_backend: Build, door: RefreshEndpoint) -> Callable[..., Client]:
    """Sign somebody in where settings are changed."""

    def make(**changes: Any) -> Client:
        backend = make_backend(look, revocation_lag=timedelta(0), **changes)
        backend.create_user("ada", "member")
        return Client(backend, door, door.sign_in(backend, "ada"))

    return make


@pytest.fixture
def ada(opened: Callable[..., Client]) -> Client:
    """Somebody who just signed in."""
    return opened()


def refused(door: RefreshEndpoint, ours: str) -> tuple[int, str]:
    """Return the status and code with which a door refuses a token for good."""
    return (400, "invalid_grant") if door.name == "oauth" else (401, ours)


# ---- p = gen


def test_the_newest_token_rotates(ada: Client) -> None:
    """S-061: an access token and a refresh token of the next generation."""
    answer = ada.shows(ada.first)
    assert is_accepted(ada.backend, answer.access_token)
    assert ada.rotates(answer.refresh_token) not in {ada.first, answer.refresh_token}


# ---- p = root_gen, the same attempt


@pytest.mark.parametrize("late", [0, WINDOW + 1, 3600])
def test_the_same_attempt_gets_the_same_successor_again(ada: Client, late: int) -> None:
    """S-062: byte for byte, at any time."""
    successor = ada.rotates(ada.first, ATTEMPT)
    ada.waits(seconds=late)
    assert ada.rotates(ada.first, ATTEMPT) == successor


def test_the_same_attempt_gets_its_successor_after_that_was_used(ada: Client) -> None:
    """S-062: a repeated request of a proxy may come late."""
    answer = ada.shows(ada.first, ATTEMPT)
    assert is_accepted(ada.backend, answer.access_token)
    ada.waits(hours=1)
    assert ada.rotates(ada.first, ATTEMPT) == answer.refresh_token


def test_the_access_token_of_the_same_attempt_is_good(ada: Client) -> None:
    """S-062: it is of the successor's generation."""
    ada.rotates(ada.first, ATTEMPT)
    again = ada.shows(ada.first, ATTEMPT)
    assert decode_part(again.access_token, 1)["gen"] == 2
    assert is_accepted(ada.backend, again.access_token)


def test_the_attempt_that_healed_gets_the_same_successor_again(ada: Client) -> None:
    """S-062, S-073: the answer to a healing may get lost as well."""
    ada.rotates(ada.first)
    ada.waits(hours=1)
    healed = ada.rotates(ada.first, ATTEMPT)
    ada.waits(hours=1)
    assert ada.rotates(ada.first, ATTEMPT) == healed


def test_an_attempt_of_the_generation_before_is_over(ada: Client) -> None:
    """S-062: only the attempt that made the newest generation gets it again."""
    second = ada.rotates(ada.first, ATTEMPT)
    ada.rotates(second, OTHER)
    assert ada.shows(ada.first, ATTEMPT).status == 503


@pytest.mark.parametrize("attempt", ["", OTHER])
def test_another_attempt_gets_no_refresh_token_in_the_window(ada: Client, attempt: str) -> None:
    """S-062: who has the token and not the id is somebody else."""
    ada.rotates(ada.first, ATTEMPT)
    assert ada.shows(ada.first, attempt).refresh_token is None


def test_a_request_without_an_id_is_no_attempt_of_anybodys(ada: Client) -> None:
    """S-062: two requests without an id are not the same attempt."""
    ada.rotates(ada.first)
    assert ada.shows(ada.first).refresh_token is None


# ---- p = root_gen, in the window


@pytest.mark.parametrize("late", [-2, 0, WINDOW])
def test_who_loses_a_race_gets_an_access_token_alone(ada: Client, late: int) -> None:
    """S-062, R-10: of its own generation, also when the clock was set back meanwhile."""
    ada.rotates(ada.first)
    ada.waits(seconds=late)
    answer = ada.shows(ada.first)
    assert (answer.status, answer.refresh_token) == (200, None)
    assert decode_part(answer.access_token, 1)["gen"] == 1
    assert is_accepted(ada.backend, answer.access_token)


def test_who_loses_a_race_is_served_after_the_winner_used_theirs(ada: Client) -> None:
    """S-062: whether the newest generation has been seen or not."""
    assert is_accepted(ada.backend, ada.shows(ada.first).access_token)
    assert ada.shows(ada.first).status == 200


def test_a_race_touches_no_cookie(ada: Client) -> None:
    """S-062: the loser's answer must not take the winner's cookie away."""
    ada.rotates(ada.first)
    assert "Set-Cookie" not in ada.shows(ada.first).headers


def test_a_hit_in_the_window_does_not_extend_it(ada: Client) -> None:
    """S-062: it is counted from the rotation."""
    assert is_accepted(ada.backend, ada.shows(ada.first).access_token)
    for seconds in (12, 7):
        ada.waits(seconds=seconds)
        assert ada.shows(ada.first).status == 200
    ada.waits(seconds=2)
    assert ada.shows(ada.first).status in {400, 401}


def test_the_window_after_a_healing_gives_nothing(ada: Client) -> None:
    """S-073: whoever heals again and again would live on access tokens of it; others wait."""
    ada.rotates(ada.first)
    ada.waits(hours=1)
    healed = ada.rotates(ada.first)
    for seconds in (0, WINDOW):
        ada.waits(seconds=seconds)
        assert ada.shows(ada.first).status == 503
    assert ada.rotates(healed)


# ---- any other p < gen, in the window


def test_an_older_token_waits_in_the_window(ada: Client, door: RefreshEndpoint) -> None:
    """S-062, S-075: a newer one may be on its way to this very client."""
    third = ada.rotates(ada.rotates(ada.first))
    answer = ada.shows(ada.first)
    code = "temporarily_unavailable" if door.name == "oauth" else "refresh_superseded"
    assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, code, "1")
    assert ada.rotates(third)


def test_a_superseded_token_waits_in_the_window(ada: Client) -> None:
    """S-062, S-073: whoever holds it may be the client whose other tab has healed the session."""
    superseded = ada.rotates(ada.first)
    ada.waits(hours=1)
    healed = ada.rotates(ada.first)
    assert ada.shows(superseded).status == 503
    assert ada.rotates(healed)


def test_waiting_changes_nothing(ada: Client) -> None:
    """S-062: neither the window nor what comes after it."""
    second = ada.rotates(ada.first)
    ada.rotates(second)
    ada.waits(seconds=WINDOW)
    assert ada.shows(ada.first).status == 503
    ada.waits(seconds=1)
    assert ada.rotates(second)


# ---- p = root_gen, later, and gen not seen


@pytest.mark.parametrize("late", [WINDOW + 1, 3600])
def test_a_lost_answer_heals_with_a_new_successor(ada: Client, late: int) -> None:
    """S-062, S-073: never with the one that somebody else may hold."""
    lost = ada.rotates(ada.first)
    ada.waits(seconds=late)
    assert ada.rotates(ada.first) != lost


def test_a_session_heals_time_after_time_while_answers_are_lost(ada: Client) -> None:
    """S-062: the last generation that was seen stays the one that heals."""
    seen = {ada.first}
    for _ in range(4):
        seen.add(ada.rotates(ada.first))
        ada.waits(minutes=30)
    assert len(seen) == 5


def test_healing_supersedes_the_access_token_that_was_lost(ada: Client) -> None:
    """S-073: nobody uses what nobody was seen to use."""
    lost = ada.shows(ada.first)
    ada.waits(minutes=1)
    healed = ada.shows(ada.first)
    assert not is_accepted(ada.backend, lost.access_token)
    assert is_accepted(ada.backend, healed.access_token)


def test_healing_leaves_older_access_tokens_alone(ada: Client) -> None:
    """S-073: those of the generation that heals are the client's own."""
    before = ada.shows(ada.first)
    ada.rotates(before.refresh_token)
    ada.waits(minutes=1)
    ada.rotates(before.refresh_token)
    assert is_accepted(ada.backend, before.access_token)


def test_a_lost_answer_heals_in_the_third_generation_too(ada: Client) -> None:
    """S-061: each rotation begins unseen, whatever became of the one before."""
    second = ada.shows(ada.first)
    assert is_accepted(ada.backend, second.access_token)
    ada.rotates(second.refresh_token)
    ada.waits(hours=1)
    assert ada.rotates(second.refresh_token)


# ---- copies


def test_the_predecessor_ends_the_session_late_once_its_successor_was_used(
    ada: Client, door: RefreshEndpoint
) -> None:
    """S-061: an access token of the new generation was seen."""
    successor = ada.shows(ada.first)
    assert is_accepted(ada.backend, successor.access_token)
    ada.waits(seconds=WINDOW + 1)
    answer = ada.shows(ada.first)
    assert (answer.status, answer.code) == refused(door, "refresh_reused")
    assert ada.is_over(successor.refresh_token)
    assert not is_accepted(ada.backend, successor.access_token)


@pytest.mark.parametrize("replayed", range(4))
def test_any_older_link_of_a_chain_ends_the_session_late(ada: Client, replayed: int) -> None:
    """S-061: five rotations, each link but the last two."""
    chain = [ada.first]
    for _ in range(5):
        chain.append(ada.rotates(chain[-1]))
    ada.waits(seconds=WINDOW + 1)
    assert ada.shows(chain[replayed]).status in {400, 401}
    assert ada.is_over(chain[-1])


def test_a_superseded_token_ends_the_session_late(ada: Client) -> None:
    """S-073: whoever kept it is not the one who was healed."""
    superseded = ada.rotates(ada.first)
    ada.waits(hours=1)
    healed = ada.rotates(ada.first)
    ada.waits(seconds=WINDOW + 1)
    assert ada.shows(superseded).status in {400, 401}
    assert ada.is_over(healed)


def test_a_generation_that_was_never_issued_ends_the_session_at_once(ada: Client) -> None:
    """R-27, R-28: rows were lost or a backup was restored; two families must not live on."""
    second = ada.rotates(ada.first)
    with ada.backend.services.database.transaction() as tx:
        tx.connection().exec_driver_sql("UPDATE itemsapi_session SET gen = 1, root_gen = 0")
    assert ada.shows(second).status in {400, 401}
    assert ada.is_over(ada.first)


def test_the_end_is_known_to_a_process_that_starts_later(ada: Client, make_backend: Build) -> None:
    """S-068: the refusal is raised after the end was committed."""
    third = ada.shows(ada.rotates(ada.first))
    ada.waits(seconds=WINDOW + 1)
    ada.shows(ada.first)
    assert not is_accepted(make_backend(look), third.access_token)


# ---- ended, expired, idle


@pytest.mark.parametrize("days", [14, 90])
def test_a_session_past_its_limits_is_over(ada: Client, door: RefreshEndpoint, days: int) -> None:
    """S-064, S-123: healing makes nothing immortal."""
    ada.rotates(ada.first)
    ada.waits(days=days)
    answer = ada.shows(ada.first)
    assert (answer.status, answer.code) == refused(door, "invalid_refresh_token")


# ---- settings


def test_single_use_to_the_letter(opened: Callable[..., Client]) -> None:
    """S-062: REFRESH_GRACE=0 and REFRESH_HEAL=off; AGAIN goes with healing."""
    ada = opened(refresh_grace=timedelta(0), refresh_heal=False)
    second = ada.rotates(ada.first, ATTEMPT)
    assert ada.shows(ada.first, ATTEMPT).status in {400, 401}
    assert ada.is_over(second)


def test_without_healing_the_window_still_serves_races(opened: Callable[..., Client]) -> None:
    """REFRESH_HEAL=off leaves the window alone."""
    ada = opened(refresh_heal=False)
    second = ada.rotates(ada.first)
    assert ada.shows(ada.first).status == 200
    ada.waits(seconds=WINDOW + 1)
    assert ada.shows(ada.first).status in {400, 401}
    assert ada.is_over(second)


def test_without_a_window_a_lost_answer_heals_at_once(opened: Callable[..., Client]) -> None:
    """REFRESH_GRACE=0 leaves the healing alone."""
    ada = opened(refresh_grace=timedelta(0))
    lost = ada.rotates(ada.first)
    assert ada.rotates(ada.first) != lost


def test_without_a_window_an_older_token_ends_the_session_at_once(
    opened: Callable[..., Client],
) -> None:
    """REFRESH_GRACE=0: nobody waits."""
    ada = opened(refresh_grace=timedelta(0))
    third = ada.rotates(ada.rotates(ada.first))
    assert ada.shows(ada.first).status in {400, 401}
    assert ada.is_over(third)


# ---- attempt ids


@pytest.mark.parametrize(
    "attempt", ["short", "x" * 21, "x" * 129, "with a blank in it, so", "é" * 30]
)
def test_an_id_that_could_be_guessed_is_refused(ada: Client, attempt: str) -> None:
    """S-062: 22 to 128 visible characters of ASCII; nothing is rotated."""
    answer = ada.shows(ada.first, attempt)
    assert (answer.status, answer.code) in {(400, "bad_request"), (400, "invalid_request")}
    assert ada.rotates(ada.first)


@pytest.mark.parametrize("length", [22, 128])
def test_an_id_of_an_allowed_length_is_taken(ada: Client, length: int) -> None:
    """S-062: the bounds belong to it."""
    assert ada.rotates(ada.first, "x" * length) == ada.rotates(ada.first, "x" * length)


def test_an_id_is_kept_as_a_hash_only(ada: Client) -> None:
    """S-060: with the id and the predecessor one could ask for the successor."""
    ada.rotates(ada.first, ATTEMPT)
    with ada.backend.services.database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM itemsapi_session").all()
    assert ATTEMPT not in repr(rows)


def test_an_id_of_one_session_is_none_of_another(ada: Client) -> None:
    """S-062: the hash is salted by the session, so equal ids do not show."""
    other = Client(ada.backend, ada.door, ada.door.sign_in(ada.backend, "ada"))
    ada.rotates(ada.first, ATTEMPT)
    other.rotates(other.first, ATTEMPT)
    with ada.backend.services.database.reading() as connection:
        attempts = (
            connection.exec_driver_sql("SELECT attempt FROM itemsapi_session").scalars().all()
        )
    assert len(set(attempts)) == 2


def test_a_session_begins_with_its_first_generation_seen(ada: Client) -> None:
    """S-062: there is no generation before it that could heal."""
    open_session(ada.backend, ada.backend.services.users.get_by_name("ada").id)
    with ada.backend.services.database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT gen, root_gen, seen FROM itemsapi_session").all()
    assert {(gen, root, bool(seen)) for gen, root, seen in rows} == {(1, 0, True)}
