"""A thief with a copied refresh token, who uses it in every way (S-073).

Whatever the thief does, thief and victim cannot both go on: the second of the two to refresh ends
the session, or has no valid token.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from itemsapi.accounts.models import COMMAND_LINE
from itemsapi.testing.tokens import decode_part
from itemsapi.tokens.rotation import mark_generation_seen
from support.app_factory import Backend
from support.refresh_endpoints import BodyEndpoint, CookieEndpoint, RefreshEndpoint, RefreshResult
from support.tokens import event_details, is_accepted, look

Build = Callable[..., Backend]
GRACE_SECONDS = 20
LATER = [GRACE_SECONDS + 1, 3600]


class Theft:
    """A session in a service of two processes, whose refresh token was copied."""

    def __init__(
        self, here: Backend, there: Backend, endpoint: RefreshEndpoint, first: str
    ) -> None:
        """Start right after the copy was made."""
        self.here, self.there, self.endpoint, self.first = here, there, endpoint, first

    def present(self, token: str | None) -> RefreshResult:
        """Present a refresh token to one of the two processes."""
        assert token
        return self.endpoint.refresh(self.here, token)

    def is_accepted(self, access_token: str) -> bool:
        """Return whether an access token is accepted; both processes must agree."""
        accepted = {is_accepted(process, access_token) for process in (self.here, self.there)}
        assert len(accepted) == 1
        return accepted.pop()

    def advance(self, **step: float) -> None:
        """Advance the clock of both processes."""
        self.here.clock.advance(**step)

    def reuse_events(self) -> int:
        """Count the events of reused tokens."""
        return len(event_details(self.here, "token_reuse"))


@pytest.fixture(params=[BodyEndpoint(), CookieEndpoint()], ids=lambda endpoint: str(endpoint.name))
def theft(request: pytest.FixtureRequest, make_backend: Build) -> Theft:
    """One for each delivery of refresh tokens."""
    here, there = (make_backend(look, revocation_lag=timedelta(0)) for _ in range(2))
    here.create_user("ada", "member")
    return Theft(here, there, request.param, request.param.sign_in(here, "ada"))


@pytest.mark.parametrize("seconds", LATER)
def test_the_victim_is_healed_when_the_thief_refreshed_first_without_using_the_token(
    theft: Theft, seconds: int
) -> None:
    """S-073: the thief used no token of the refresh."""
    theft.present(theft.first)
    theft.advance(seconds=seconds)
    healed = theft.present(theft.first)
    assert theft.is_accepted(healed.access_token)
    theft.advance(minutes=10)
    assert theft.is_accepted(theft.present(healed.refresh_token).access_token)


@pytest.mark.parametrize("seconds", LATER)
def test_the_thiefs_access_token_is_revoked_when_the_victim_is_healed(
    theft: Theft, seconds: int
) -> None:
    """S-073: in every process."""
    stolen = theft.present(theft.first)
    theft.advance(seconds=seconds)
    theft.present(theft.first)
    assert not theft.is_accepted(stolen.access_token)


def test_the_thiefs_refresh_token_ends_the_session_after_the_healing(theft: Theft) -> None:
    """S-073: with an event after the grace period; during it the thief gets nothing."""
    stolen = theft.present(theft.first)
    theft.advance(hours=1)
    healed = theft.present(theft.first)
    assert theft.present(stolen.refresh_token).status == 503
    theft.advance(seconds=GRACE_SECONDS + 1)
    assert theft.present(stolen.refresh_token).code == "refresh_reused"
    assert (theft.is_accepted(healed.access_token), theft.reuse_events()) == (False, 1)


def test_the_victims_next_refresh_ends_the_session_when_the_thief_used_a_token(
    theft: Theft,
) -> None:
    """S-061: both lose the session; the victim signs in again."""
    stolen = theft.present(theft.first)
    assert theft.is_accepted(stolen.access_token)
    theft.advance(minutes=10)
    assert theft.present(theft.first).code == "refresh_reused"
    assert not theft.is_accepted(stolen.access_token)


def test_a_late_refresh_of_the_thief_ends_the_session(theft: Theft) -> None:
    """S-061: the victim refreshed first and used the token."""
    assert theft.is_accepted(theft.present(theft.first).access_token)
    theft.advance(minutes=5)
    assert theft.present(theft.first).code == "refresh_reused"


def test_the_victims_tokens_are_revoked_when_the_thief_is_healed(theft: Theft) -> None:
    """S-073: the victim had refreshed and used no token."""
    victims = theft.present(theft.first)
    theft.advance(hours=1)
    stolen = theft.present(theft.first)
    assert not theft.is_accepted(victims.access_token)
    theft.advance(hours=1)
    assert theft.present(victims.refresh_token).code == "refresh_reused"
    assert theft.present(stolen.refresh_token).code == "invalid_refresh_token"


def test_a_thief_in_every_grace_period_gets_one_access_token_and_is_detected(theft: Theft) -> None:
    """S-073: it presents all its tokens right after each refresh of the victim."""
    copies, stolen, cycles = [theft.first], [], 0
    victims = theft.present(theft.first)
    while victims.status == 200 and cycles < 10:
        cycles += 1
        assert theft.is_accepted(victims.access_token)
        responses = [theft.present(token) for token in copies]
        copies += [response.refresh_token for response in responses if response.refresh_token]
        stolen += [response.access_token for response in responses if response.access_token]
        theft.advance(minutes=9)
        victims = theft.present(victims.refresh_token)
    assert (len(copies), len(stolen), theft.reuse_events()) == (1, 1, 1)
    assert cycles <= 4
    assert not theft.is_accepted(stolen[0])


def test_an_access_token_of_a_lost_race_is_revoked_with_the_session(theft: Theft) -> None:
    """S-073: it lives ten minutes at most, and not after the end of the session."""
    tokens, stolen = theft.present(theft.first), theft.present(theft.first)
    assert theft.is_accepted(stolen.access_token)
    theft.here.services.users.end_sessions(
        COMMAND_LINE, theft.here.services.users.get_by_name("ada").id
    )
    found = [theft.is_accepted(one.access_token) for one in (tokens, stolen)]
    assert found == [False, False]


@pytest.mark.parametrize("thief_uses", [False, True], ids=["quiet", "loud"])
def test_a_thief_does_not_work_beside_the_victim_for_ten_cycles(
    theft: Theft, thief_uses: bool
) -> None:
    """S-073: it presents all its tokens before each refresh of the victim."""
    copies, victims_token, both_worked = [theft.first], theft.first, 0
    for _ in range(10):
        stolen = [
            response
            for token in reversed(copies)
            if (response := theft.present(token)).access_token
        ]
        copies += [response.refresh_token for response in stolen if response.refresh_token]
        works = (
            [theft.is_accepted(response.access_token) for response in stolen] if thief_uses else []
        )
        theft.advance(minutes=9)
        response = theft.present(victims_token)
        victims_token = response.refresh_token or victims_token
        both_worked += (
            response.status == 200 and any(works) and theft.is_accepted(response.access_token)
        )
        theft.advance(minutes=1)
    assert both_worked == 0
    assert theft.reuse_events() == 1


def test_the_session_list_does_not_reveal_when_a_session_was_refreshed(theft: Theft) -> None:
    """S-073: neither the times nor their order change within five minutes."""
    theft.advance(seconds=1800 - theft.here.clock().timestamp() % 300)
    second = theft.present(theft.first).refresh_token
    reader = theft.here.login("ada")["access_token"]
    before = list_sessions(theft.here, reader)
    theft.advance(seconds=299)
    theft.present(second)
    assert list_sessions(theft.here, reader) == before


def test_the_session_list_rounds_times_down_to_five_minutes(theft: Theft) -> None:
    """S-073: but not to before the sign-in."""
    theft.advance(minutes=9)
    theft.present(theft.first)
    theft.advance(minutes=5)
    reader = theft.here.login("ada")["access_token"]
    used = {one["current"]: one for one in list_sessions(theft.here, reader)}
    assert datetime.fromisoformat(used[False]["last_used_at"]).timestamp() % 300 == 0
    assert used[True]["last_used_at"] == used[True]["created_at"]


def test_polling_the_session_list_does_not_reveal_the_time_of_a_refresh(theft: Theft) -> None:
    """S-073: the list changes only at the start of the next five minutes."""
    theft.advance(seconds=1800 - theft.here.clock().timestamp() % 300)
    reader, token, seen = theft.here.login("ada")["access_token"], theft.first, []
    for poll in range(54):
        seen.append([one["last_used_at"] for one in list_sessions(theft.here, reader)])
        if poll in {12, 20, 33, 41}:
            token = str(theft.present(token).refresh_token)
        theft.advance(seconds=10)
    changes = [poll * 10 for poll in range(1, 54) if seen[poll] != seen[poll - 1]]
    assert changes == [300]


@pytest.mark.parametrize("attempts", [False, True], ids=["no ids", "attempt ids"])
def test_a_thief_who_heals_after_every_grace_period_does_not_work_beside_the_victim(
    theft: Theft, attempts: bool
) -> None:
    """S-073: found by attack: it kept the grace period open, and both used its access tokens."""
    copy, worked, victim_refreshed = theft.first, [], 0
    for n in range(240):
        stolen = [theft.present(copy).access_token for _ in range(2)]
        worked.append(any(token and theft.is_accepted(token) for token in reversed(stolen)))
        if n % 30 == 15:
            attempt = f"attempt-{n:020}" if attempts else ""
            response = theft.endpoint.refresh(theft.here, theft.first, attempt)
            victim_refreshed += response.status == 200
        theft.advance(seconds=20.01)
    assert (victim_refreshed, sum(worked) < 35, theft.reuse_events()) == (0, True, 1)


def test_a_thief_who_works_while_the_victim_is_away_is_detected_on_return(theft: Theft) -> None:
    """S-073: found by attack: three days of healing, and access tokens of the root generation."""
    worked = 0
    for _ in range(50):
        tokens = [theft.present(theft.first).access_token for _ in range(2)]
        worked += any(token and theft.is_accepted(token) for token in reversed(tokens))
        theft.advance(minutes=10)
    assert worked <= 2
    assert theft.present(theft.first).status == 401
    assert theft.reuse_events() == 1


@pytest.mark.parametrize("pause", [5, 19, 20])
def test_a_thief_who_rotates_in_every_grace_period_does_not_keep_the_victim_waiting(
    theft: Theft, pause: int
) -> None:
    """S-061: found by attack: it worked for hours, while the victim had to retry."""
    stolen, seconds, status = theft.present(theft.first), 0, 0
    while status != 401 and seconds <= 5 * GRACE_SECONDS:
        assert theft.is_accepted(stolen.access_token)
        theft.advance(seconds=pause)
        seconds += pause
        stolen = theft.present(stolen.refresh_token)
        status = theft.present(theft.first).status
    assert status == 401
    assert not theft.is_accepted(stolen.access_token)


def test_the_use_of_a_superseded_access_token_is_detected_as_a_copy(theft: Theft) -> None:
    """S-073: other processes accept it for a moment; the healed client does not use it."""
    stolen = theft.present(theft.first)
    theft.advance(hours=1)
    theft.present(theft.first)
    mark_generation_seen(
        theft.here.services.database, str(decode_part(stolen.access_token, 1)["sid"]), 2
    )
    theft.advance(hours=1)
    assert theft.present(theft.first).code == "refresh_reused"


def list_sessions(backend: Backend, access_token: str) -> list[dict[str, Any]]:
    """Return the list of sessions."""
    response = backend.bearer_client(access_token).get("/auth/sessions").get_json()
    sessions: list[dict[str, Any]] = response["items"]
    return sessions
