"""Everybody's sessions end by one row; a process that slept lets nobody slip in (R-19, S-066)."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from itemsapi.issuer.sessions import end_all_sessions, list_open_sessions
from itemsapi.tokens import revocation
from itemsapi.tokens.revocation import Revocation
from support.app_factory import Backend
from support.tokens import event_details, is_accepted, look, open_session, refresh, refreshed

Build = Callable[..., Backend]


@pytest.fixture
def here(make_backend: Build) -> Backend:
    """A process that asks the feed at every request."""
    return make_backend(look, revocation_lag=timedelta(0))


@pytest.fixture
def there(make_backend: Build, here: Backend) -> Backend:
    """Another process on the same database."""
    return make_backend(look, revocation_lag=timedelta(0))


@pytest.fixture
def ada(here: Backend) -> str:
    """A user; the id."""
    return here.create_user("ada", "member")


def end_all(backend: Backend) -> None:
    """End everybody's sessions."""
    end_all_sessions(backend.services.issuer, why="a test")


def test_access_tokens_of_everybody_are_refused(here: Backend, there: Backend, ada: str) -> None:
    """R-19: here and in the other process."""
    tokens = [
        open_session(here, ada).access_token,
        open_session(here, here.create_user("bob")).access_token,
    ]
    end_all(there)
    assert [is_accepted(one, token) for one in (here, there) for token in tokens] == [False] * 4


def test_refresh_tokens_of_everybody_are_refused(here: Backend, there: Backend, ada: str) -> None:
    """R-19: though no session's own row was touched."""
    token = open_session(here, ada).refresh_token
    end_all(there)
    assert refresh(here, token).get_json()["code"] == "invalid_refresh_token"
    assert event_details(here, "token_reuse") == []


def test_it_is_one_row(here: Backend, ada: str) -> None:
    """R-19: however many sessions there are."""
    for _ in range(20):
        open_session(here, ada)
    end_all(here)
    with here.services.database.reading() as connection:
        assert connection.scalar(select(func.count(Revocation.seq))) == 1


def test_who_signs_in_right_afterwards_stays(here: Backend, there: Backend, ada: str) -> None:
    """R-19: in the same second, in both processes, and after a refresh."""
    end_all(here)
    given = open_session(there, ada)
    assert [is_accepted(one, given.access_token) for one in (here, there)] == [True, True]
    assert is_accepted(here, refreshed(there, given.refresh_token)["access_token"])


def test_who_signed_in_in_between_is_out_after_the_second(here: Backend, ada: str) -> None:
    """R-19: twice in the same second; the second one means everybody again."""
    end_all(here)
    given = open_session(here, ada)
    end_all(here)
    assert not is_accepted(here, given.access_token)
    assert refresh(here, given.refresh_token).status_code == 401


def test_a_clock_that_is_behind_hides_nothing(here: Backend, ada: str) -> None:
    """R-10: the operator's host is five seconds behind those that signed people in."""
    given = open_session(here, ada)
    here.clock.advance(seconds=-5)
    end_all(here)
    assert not is_accepted(here, given.access_token)
    assert refresh(here, given.refresh_token).status_code == 401


def test_a_process_that_starts_later_knows(here: Backend, make_backend: Build, ada: str) -> None:
    """S-068: the row is read again after a restart, the process of old tokens or not."""
    given = open_session(here, ada)
    end_all(here)
    assert not is_accepted(make_backend(look), given.access_token)


def test_nobodys_list_shows_what_ended(here: Backend, ada: str) -> None:
    """S-125: a row that nothing can be done with is not a session."""
    open_session(here, ada)
    end_all(here)
    assert list_open_sessions(here.services.issuer, ada) == []


def test_it_is_on_the_trail(here: Backend) -> None:
    """S-149: with the reason."""
    end_all(here)
    assert event_details(here, "session_end_everybody") == [{"why": "a test"}]


def test_not_one_of_many_requests_at_once_slips_into_a_process_that_slept(
    make_backend: Build, ada: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-066: one of them asks the feed, and the others wait for the answer."""
    monkeypatch.setattr(revocation, "FEED_WAIT_SECONDS", 10.0)  # this machine may be slow
    here, there = make_backend(look), make_backend(look)
    given = open_session(here, ada)
    assert is_accepted(there, given.access_token)
    here.client().post("/auth/logout", json={"refresh_token": given.refresh_token})
    revocation_feed = there.services.revocation_feed
    revocation_feed._read_at = revocation_feed._checked_at = time.monotonic() - 3  # noqa: SLF001 - it slept for so long
    found: list[bool] = []
    ask = lambda: found.append(is_accepted(there, given.access_token))  # noqa: E731 - a thread's work
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [False] * 8
