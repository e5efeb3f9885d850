"""The rule of rotation, row by row (docs/adr/0003): both databases, every endpoint."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from itemsapi.testing.tokens import decode_part
from support.app_factory import Backend
from support.refresh_endpoints import REFRESH_ENDPOINTS, RefreshEndpoint, RefreshResult
from support.tokens import is_accepted, look, open_session

Build = Callable[..., Backend]
WINDOW = 20
ATTEMPT, OTHER = "attempt-0123456789abcdef", "another-0123456789abcdef"


class Client:
    """A client with refresh tokens of one session; `first` is that of the sign-in."""

    def __init__(self, backend: Backend, endpoint: RefreshEndpoint, first: str) -> None:
        """Start after the sign-in."""
        self.backend, self.endpoint, self.first = backend, endpoint, first

    def present(self, token: str | None, attempt: str = "") -> RefreshResult:
        """Present a refresh token and return the response."""
        assert token
        return self.endpoint.refresh(self.backend, token, attempt)

    def rotate(self, token: str | None, attempt: str = "") -> str:
        """Present a refresh token that must rotate; return the new one."""
        response = self.present(token, attempt)
        assert (response.status, response.refresh_token in {None, token}) == (200, False), (
            response.code
        )
        return str(response.refresh_token)

    def wait(self, **step: float) -> None:
        """Let time pass."""
        self.backend.clock.advance(**step)

    def is_over(self, token: str | None) -> bool:
        """Return whether the session has ended, using a token that was valid."""
        response = self.present(token)
        return response.status in {400, 401} and response.code in {
            "invalid_refresh_token",
            "invalid_grant",
        }


@pytest.fixture(params=REFRESH_ENDPOINTS, ids=lambda endpoint: str(endpoint.name))
def endpoint(request: pytest.FixtureRequest) -> Any:
    """Each endpoint in turn."""
    return request.param


@pytest.fixture
def sign_in_with_settings(make_backend: Build, endpoint: RefreshEndpoint) -> Callable[..., Client]:
    """Sign a client in to an application with these settings."""

    def make(**changes: Any) -> Client:
        backend = make_backend(look, revocation_lag=timedelta(0), **changes)
        backend.create_user("ada", "member")
        return Client(backend, endpoint, endpoint.sign_in(backend, "ada"))

    return make


@pytest.fixture
def ada(sign_in_with_settings: Callable[..., Client]) -> Client:
    """A client that just signed in."""
    return sign_in_with_settings()


def rejection(endpoint: RefreshEndpoint, ours: str) -> tuple[int, str]:
    """Return the status and code with which an endpoint rejects a token for good."""
    return (400, "invalid_grant") if endpoint.name == "oauth" else (401, ours)


# ---- p = gen


def test_the_newest_token_rotates(ada: Client) -> None:
    """S-061: an access token and a refresh token of the next generation."""
    response = ada.present(ada.first)
    assert is_accepted(ada.backend, response.access_token)
    assert ada.rotate(response.refresh_token) not in {ada.first, response.refresh_token}


# ---- p = root_gen, the same attempt


@pytest.mark.parametrize("late", [0, WINDOW + 1, 3600])
def test_a_repeated_attempt_gets_the_same_successor(ada: Client, late: int) -> None:
    """S-062: byte for byte, at any time."""
    successor = ada.rotate(ada.first, ATTEMPT)
    ada.wait(seconds=late)
    assert ada.rotate(ada.first, ATTEMPT) == successor


def test_a_repeated_attempt_gets_a_successor_that_is_already_in_use(ada: Client) -> None:
    """S-062: a request repeated by a proxy may arrive late."""
    response = ada.present(ada.first, ATTEMPT)
    assert is_accepted(ada.backend, response.access_token)
    ada.wait(hours=1)
    assert ada.rotate(ada.first, ATTEMPT) == response.refresh_token


def test_the_access_token_of_a_repeated_attempt_is_valid(ada: Client) -> None:
    """S-062: it has the generation of the successor."""
    ada.rotate(ada.first, ATTEMPT)
    again = ada.present(ada.first, ATTEMPT)
    assert decode_part(again.access_token, 1)["gen"] == 2
    assert is_accepted(ada.backend, again.access_token)


def test_a_repeated_healing_attempt_gets_the_same_successor(ada: Client) -> None:
    """S-062, S-073: the response to a healing may be lost as well."""
    ada.rotate(ada.first)
    ada.wait(hours=1)
    healed = ada.rotate(ada.first, ATTEMPT)
    ada.wait(hours=1)
    assert ada.rotate(ada.first, ATTEMPT) == healed


def test_an_attempt_of_an_earlier_generation_is_not_repeated(ada: Client) -> None:
    """S-062: only the attempt that created the current generation is."""
    second = ada.rotate(ada.first, ATTEMPT)
    ada.rotate(second, OTHER)
    assert ada.present(ada.first, ATTEMPT).status == 503


@pytest.mark.parametrize("attempt", ["", OTHER])
def test_another_attempt_gets_no_refresh_token_in_the_window(ada: Client, attempt: str) -> None:
    """S-062: a request with the token and another id is another attempt."""
    ada.rotate(ada.first, ATTEMPT)
    assert ada.present(ada.first, attempt).refresh_token is None


def test_requests_without_an_id_are_different_attempts(ada: Client) -> None:
    """S-062."""
    ada.rotate(ada.first)
    assert ada.present(ada.first).refresh_token is None


# ---- p = root_gen, in the window


@pytest.mark.parametrize("late", [-2, 0, WINDOW])
def test_the_loser_of_a_race_gets_an_access_token_only(ada: Client, late: int) -> None:
    """S-062, R-10: of its own generation, also when the clock was set back meanwhile."""
    ada.rotate(ada.first)
    ada.wait(seconds=late)
    response = ada.present(ada.first)
    assert (response.status, response.refresh_token) == (200, None)
    assert decode_part(response.access_token, 1)["gen"] == 1
    assert is_accepted(ada.backend, response.access_token)


def test_the_loser_of_a_race_is_served_after_the_winner_used_its_token(ada: Client) -> None:
    """S-062: whether the current generation has been seen or not."""
    assert is_accepted(ada.backend, ada.present(ada.first).access_token)
    assert ada.present(ada.first).status == 200


def test_the_loser_of_a_race_gets_no_cookie(ada: Client) -> None:
    """S-062: its response must not replace the winner's cookie."""
    ada.rotate(ada.first)
    assert "Set-Cookie" not in ada.present(ada.first).headers


def test_a_request_in_the_window_does_not_extend_it(ada: Client) -> None:
    """S-062: it is measured from the rotation."""
    assert is_accepted(ada.backend, ada.present(ada.first).access_token)
    for seconds in (12, 7):
        ada.wait(seconds=seconds)
        assert ada.present(ada.first).status == 200
    ada.wait(seconds=2)
    assert ada.present(ada.first).status in {400, 401}


def test_the_window_after_a_healing_gives_no_token(ada: Client) -> None:
    """S-073: otherwise a thief could heal repeatedly and live on access tokens."""
    ada.rotate(ada.first)
    ada.wait(hours=1)
    healed = ada.rotate(ada.first)
    for seconds in (0, WINDOW):
        ada.wait(seconds=seconds)
        assert ada.present(ada.first).status == 503
    assert ada.rotate(healed)


# ---- any other p < gen, in the window


def test_an_older_token_gets_retry_later_in_the_window(
    ada: Client, endpoint: RefreshEndpoint
) -> None:
    """S-062, S-075: a newer one may be on its way to this client."""
    third = ada.rotate(ada.rotate(ada.first))
    response = ada.present(ada.first)
    code = "temporarily_unavailable" if endpoint.name == "oauth" else "refresh_superseded"
    assert (response.status, response.code, response.headers["Retry-After"]) == (503, code, "1")
    assert ada.rotate(third)


def test_a_superseded_token_gets_retry_later_in_the_window(ada: Client) -> None:
    """S-062, S-073: another tab of this client may have healed the session."""
    superseded = ada.rotate(ada.first)
    ada.wait(hours=1)
    healed = ada.rotate(ada.first)
    assert ada.present(superseded).status == 503
    assert ada.rotate(healed)


def test_retry_later_changes_nothing(ada: Client) -> None:
    """S-062: neither the window nor the outcome after it."""
    second = ada.rotate(ada.first)
    ada.rotate(second)
    ada.wait(seconds=WINDOW)
    assert ada.present(ada.first).status == 503
    ada.wait(seconds=1)
    assert ada.rotate(second)


# ---- p = root_gen, later, and gen not seen


@pytest.mark.parametrize("late", [WINDOW + 1, 3600])
def test_a_lost_response_heals_with_a_new_successor(ada: Client, late: int) -> None:
    """S-062, S-073: never with the one that somebody else may have."""
    lost = ada.rotate(ada.first)
    ada.wait(seconds=late)
    assert ada.rotate(ada.first) != lost


def test_a_session_heals_repeatedly_while_responses_are_lost(ada: Client) -> None:
    """S-062: the last generation that was seen stays the one that heals."""
    seen = {ada.first}
    for _ in range(4):
        seen.add(ada.rotate(ada.first))
        ada.wait(minutes=30)
    assert len(seen) == 5


def test_healing_revokes_the_lost_access_token(ada: Client) -> None:
    """S-073: nobody may use a generation that was never seen."""
    lost = ada.present(ada.first)
    ada.wait(minutes=1)
    healed = ada.present(ada.first)
    assert not is_accepted(ada.backend, lost.access_token)
    assert is_accepted(ada.backend, healed.access_token)


def test_healing_keeps_older_access_tokens_valid(ada: Client) -> None:
    """S-073: those of the generation that heals belong to the client."""
    before = ada.present(ada.first)
    ada.rotate(before.refresh_token)
    ada.wait(minutes=1)
    ada.rotate(before.refresh_token)
    assert is_accepted(ada.backend, before.access_token)


def test_a_lost_response_heals_in_the_third_generation_too(ada: Client) -> None:
    """S-061: each rotation begins unseen."""
    second = ada.present(ada.first)
    assert is_accepted(ada.backend, second.access_token)
    ada.rotate(second.refresh_token)
    ada.wait(hours=1)
    assert ada.rotate(second.refresh_token)


# ---- copies


def test_the_predecessor_ends_the_session_after_its_successor_was_used(
    ada: Client, endpoint: RefreshEndpoint
) -> None:
    """S-061: an access token of the new generation was seen."""
    successor = ada.present(ada.first)
    assert is_accepted(ada.backend, successor.access_token)
    ada.wait(seconds=WINDOW + 1)
    response = ada.present(ada.first)
    assert (response.status, response.code) == rejection(endpoint, "refresh_reused")
    assert ada.is_over(successor.refresh_token)
    assert not is_accepted(ada.backend, successor.access_token)


@pytest.mark.parametrize("replayed", range(4))
def test_any_older_token_ends_the_session_after_the_window(ada: Client, replayed: int) -> None:
    """S-061: five rotations, each token but the last two."""
    chain = [ada.first]
    for _ in range(5):
        chain.append(ada.rotate(chain[-1]))
    ada.wait(seconds=WINDOW + 1)
    assert ada.present(chain[replayed]).status in {400, 401}
    assert ada.is_over(chain[-1])


def test_a_superseded_token_ends_the_session_after_the_window(ada: Client) -> None:
    """S-073: whoever kept it is not the client that healed."""
    superseded = ada.rotate(ada.first)
    ada.wait(hours=1)
    healed = ada.rotate(ada.first)
    ada.wait(seconds=WINDOW + 1)
    assert ada.present(superseded).status in {400, 401}
    assert ada.is_over(healed)


def test_a_generation_that_was_never_issued_ends_the_session_at_once(ada: Client) -> None:
    """R-27, R-28: a backup was restored or rows were lost; two token families must not coexist."""
    second = ada.rotate(ada.first)
    with ada.backend.services.database.transaction() as tx:
        tx.connection().exec_driver_sql("UPDATE itemsapi_session SET gen = 1, root_gen = 0")
    assert ada.present(second).status in {400, 401}
    assert ada.is_over(ada.first)


def test_the_end_of_a_session_is_known_to_a_process_that_starts_later(
    ada: Client, make_backend: Build
) -> None:
    """S-068: the error is raised after the commit."""
    third = ada.present(ada.rotate(ada.first))
    ada.wait(seconds=WINDOW + 1)
    ada.present(ada.first)
    assert not is_accepted(make_backend(look), third.access_token)


# ---- ended, expired, idle


@pytest.mark.parametrize("days", [14, 90])
def test_a_session_ends_at_its_limits(ada: Client, endpoint: RefreshEndpoint, days: int) -> None:
    """S-064, S-123: healing does not extend them."""
    ada.rotate(ada.first)
    ada.wait(days=days)
    response = ada.present(ada.first)
    assert (response.status, response.code) == rejection(endpoint, "invalid_refresh_token")


# ---- settings


def test_a_token_is_single_use_without_window_and_healing(
    sign_in_with_settings: Callable[..., Client],
) -> None:
    """S-062: REFRESH_GRACE=0 and REFRESH_HEAL=off; without healing there is no repetition."""
    ada = sign_in_with_settings(refresh_grace=timedelta(0), refresh_heal=False)
    second = ada.rotate(ada.first, ATTEMPT)
    assert ada.present(ada.first, ATTEMPT).status in {400, 401}
    assert ada.is_over(second)


def test_without_healing_the_window_still_serves_races(
    sign_in_with_settings: Callable[..., Client],
) -> None:
    """REFRESH_HEAL=off does not change the window."""
    ada = sign_in_with_settings(refresh_heal=False)
    second = ada.rotate(ada.first)
    assert ada.present(ada.first).status == 200
    ada.wait(seconds=WINDOW + 1)
    assert ada.present(ada.first).status in {400, 401}
    assert ada.is_over(second)


def test_without_a_window_a_lost_response_heals_at_once(
    sign_in_with_settings: Callable[..., Client],
) -> None:
    """REFRESH_GRACE=0 does not disable healing."""
    ada = sign_in_with_settings(refresh_grace=timedelta(0))
    lost = ada.rotate(ada.first)
    assert ada.rotate(ada.first) != lost


def test_without_a_window_an_older_token_ends_the_session_at_once(
    sign_in_with_settings: Callable[..., Client],
) -> None:
    """REFRESH_GRACE=0: there is no RETRY_LATER."""
    ada = sign_in_with_settings(refresh_grace=timedelta(0))
    third = ada.rotate(ada.rotate(ada.first))
    assert ada.present(ada.first).status in {400, 401}
    assert ada.is_over(third)


# ---- attempt ids


@pytest.mark.parametrize(
    "attempt", ["short", "x" * 21, "x" * 129, "with a blank in it, so", "é" * 30]
)
def test_an_attempt_id_that_could_be_guessed_is_rejected(ada: Client, attempt: str) -> None:
    """S-062: 22 to 128 visible ASCII characters; nothing is rotated."""
    response = ada.present(ada.first, attempt)
    assert (response.status, response.code) in {(400, "bad_request"), (400, "invalid_request")}
    assert ada.rotate(ada.first)


@pytest.mark.parametrize("length", [22, 128])
def test_an_attempt_id_of_an_allowed_length_is_accepted(ada: Client, length: int) -> None:
    """S-062: the limits are included."""
    assert ada.rotate(ada.first, "x" * length) == ada.rotate(ada.first, "x" * length)


def test_an_attempt_id_is_stored_as_a_hash_only(ada: Client) -> None:
    """S-060: with the id and the predecessor one could get the successor."""
    ada.rotate(ada.first, ATTEMPT)
    with ada.backend.services.database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM itemsapi_session").all()
    assert ATTEMPT not in repr(rows)


def test_an_attempt_id_is_hashed_with_its_session(ada: Client) -> None:
    """S-062: equal ids of two sessions have different hashes."""
    other = Client(ada.backend, ada.endpoint, ada.endpoint.sign_in(ada.backend, "ada"))
    ada.rotate(ada.first, ATTEMPT)
    other.rotate(other.first, ATTEMPT)
    with ada.backend.services.database.reading() as connection:
        attempts = (
            connection.exec_driver_sql("SELECT attempt FROM itemsapi_session").scalars().all()
        )
    assert len(set(attempts)) == 2


def test_a_session_begins_with_its_first_generation_seen(ada: Client) -> None:
    """S-062: no earlier generation could heal."""
    open_session(ada.backend, ada.backend.services.users.get_by_name("ada").id)
    with ada.backend.services.database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT gen, root_gen, seen FROM itemsapi_session").all()
    assert {(gen, root, bool(seen)) for gen, root, seen in rows} == {(1, 0, True)}
