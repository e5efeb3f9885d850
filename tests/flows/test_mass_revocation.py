"""All sessions end by one row, also in a process that was suspended (R-19, S-066)."""

from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from itemsapi.issuer.sessions import end_all_sessions, list_open_sessions
from itemsapi.tokens import revocation
from itemsapi.tokens.revocation import Revocation
from support.app_factory import Backend
from support.manual_timer import ManualTimer
from support.race import race
from support.tokens import event_details, is_accepted, look, open_session, refresh, refreshed

Build = Callable[..., Backend]


@pytest.fixture
def ada(here: Backend) -> str:
    """The id of a user."""
    return here.create_user("ada", "member")


def end_all(backend: Backend) -> None:
    """End all sessions of all users."""
    end_all_sessions(backend.services.issuer, why="a test")


def test_access_tokens_of_all_users_are_rejected(here: Backend, there: Backend, ada: str) -> None:
    """R-19: in this and in another process."""
    tokens = [
        open_session(here, ada).access_token,
        open_session(here, here.create_user("bob")).access_token,
    ]
    end_all(there)
    assert [is_accepted(one, token) for one in (here, there) for token in tokens] == [False] * 4


def test_refresh_tokens_of_all_users_are_rejected(here: Backend, there: Backend, ada: str) -> None:
    """R-19: although no session row changed."""
    token = open_session(here, ada).refresh_token
    end_all(there)
    assert refresh(here, token).get_json()["code"] == "invalid_refresh_token"
    assert event_details(here, "token_reuse") == []


def test_ending_all_sessions_writes_one_row(here: Backend, ada: str) -> None:
    """R-19: whatever the number of sessions."""
    for _ in range(20):
        open_session(here, ada)
    end_all(here)
    with here.services.database.reading() as connection:
        assert connection.scalar(select(func.count(Revocation.seq))) == 1


def test_a_session_is_valid_when_it_starts_right_afterwards(
    here: Backend, there: Backend, ada: str
) -> None:
    """R-19: in the same second, in both processes, and after a refresh."""
    end_all(here)
    session = open_session(there, ada)
    assert [is_accepted(one, session.access_token) for one in (here, there)] == [True, True]
    assert is_accepted(here, refreshed(there, session.refresh_token)["access_token"])


def test_a_session_ends_with_the_second_of_two_revocations(here: Backend, ada: str) -> None:
    """R-19: both in the same second; the second one includes sessions from in between."""
    end_all(here)
    session = open_session(here, ada)
    end_all(here)
    assert not is_accepted(here, session.access_token)
    assert refresh(here, session.refresh_token).status_code == 401


def test_sessions_end_when_the_operators_clock_is_behind(here: Backend, ada: str) -> None:
    """R-10: by five seconds, compared to the hosts of the sign-ins."""
    session = open_session(here, ada)
    here.clock.advance(seconds=-5)
    end_all(here)
    assert not is_accepted(here, session.access_token)
    assert refresh(here, session.refresh_token).status_code == 401


def test_a_process_that_starts_later_rejects_the_tokens(
    here: Backend, make_backend: Build, ada: str
) -> None:
    """S-068: the revocation is read at the start."""
    session = open_session(here, ada)
    end_all(here)
    assert not is_accepted(make_backend(look), session.access_token)


def test_ended_sessions_are_not_listed(here: Backend, ada: str) -> None:
    """S-125: the list shows only sessions that can be ended."""
    open_session(here, ada)
    end_all(here)
    assert list_open_sessions(here.services.issuer, ada) == []


def test_ending_all_sessions_is_audited(here: Backend) -> None:
    """S-149: with the reason."""
    end_all(here)
    assert event_details(here, "session_end_everybody") == [{"why": "a test"}]


def test_no_concurrent_request_is_accepted_by_a_process_that_was_suspended(
    make_backend: Build, ada: str, timer: ManualTimer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-066: one request polls the feed, and the others wait for it."""
    monkeypatch.setattr(revocation, "FEED_WAIT_SECONDS", 10.0)  # this machine may be slow
    here, there = make_backend(look), make_backend(look)
    session = open_session(here, ada)
    assert is_accepted(there, session.access_token)
    here.client().post("/auth/logout", json={"refresh_token": session.refresh_token})
    timer.advance(3)
    asks = [lambda: is_accepted(there, session.access_token)] * 8
    assert race(*asks) == [False] * 8
