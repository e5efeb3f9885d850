"""Failures of keys: unreadable rows, a wrong secret key, no database."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from itemsapi.db import AnyRow
from itemsapi.problems import GateUnavailable
from itemsapi.settings import SettingsError
from itemsapi.testing import PASSWORD
from itemsapi.tokens import key_set as key_sets
from itemsapi.tokens.key_set import MAX_KEY_AGE_SECONDS
from support.app_factory import Backend
from support.database_faults import failing_database
from support.keys import (
    corrupt_keys,
    is_token_accepted,
    kid_of,
    login_ada,
    published_kids,
    rotate_when_allowed,
    signing_and_next_kids,
    states_by_kid,
)
from support.manual_timer import ManualTimer

Build = Callable[..., Backend]

ANOTHER_SECRET = "an0ther-test-secret-0123456789-abcdefghijklmnop"
NO_LAG = timedelta(0)


@pytest.fixture
def backend(make_backend: Build) -> Backend:
    """A process that reloads the keys at every request, with the user ada."""
    backend = make_backend(revocation_lag=NO_LAG)
    backend.create_user("ada", "member")
    return backend


@pytest.fixture
def other(make_backend: Build, backend: Backend) -> Backend:
    """Another process on the same database."""
    return make_backend(revocation_lag=NO_LAG)


def count_reads(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count how often the keys are read from the database."""
    store, reads = backend.services.key_set.key_store, [0]
    read = store.load_active

    def live() -> list[AnyRow]:
        reads[0] += 1
        return read()

    monkeypatch.setattr(store, "load_active", live)
    return reads


def test_unknown_kids_cause_no_query(make_backend: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most one query per lag, whatever clients send."""
    backend = make_backend(revocation_lag=timedelta(seconds=5))
    backend.create_user("ada")
    token = login_ada(backend)
    reads = count_reads(backend, monkeypatch)
    for _ in range(50):
        is_token_accepted(backend, "e30" + token)
        backend.services.key_set.find("nobody's")
    assert reads[0] <= 1


def test_other_keys_stay_in_use_when_one_is_unreadable(backend: Backend, other: Backend) -> None:
    """R-29: only tokens of that key are rejected."""
    old = login_ada(backend)
    rotate_when_allowed(backend)
    corrupt_keys(backend, "secret = 'AAAA'", "state = 'retired'")
    assert not is_token_accepted(other, old)
    assert is_token_accepted(other, login_ada(other))


POISON = ["secret = ''", "secret = '!'", "secret = 'AAAA'", "alg = 'RS256'", "state = 'odd'"]


@pytest.mark.parametrize("change", POISON)
def test_an_unreadable_key_is_logged(
    backend: Backend, other: Backend, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """R-29: one line with its kid."""
    first, next_kid = signing_and_next_kids(backend)
    corrupt_keys(backend, change, f"kid = '{next_kid}'")
    capsys.readouterr()
    assert [published_kids(other), published_kids(other)] == [[first], [first]]
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    logged = [(line["event"], line["kid"]) for line in lines if "kid" in line]
    assert logged == [("signing_key_unreadable", next_kid)]


def test_a_refresh_gets_503_when_the_signing_key_is_unreadable(
    backend: Backend, other: Backend
) -> None:
    """R-29: not 500; the refresh token is not used up."""
    tokens = backend.login("ada")
    corrupt_keys(backend, "secret = 'AAAA'", "state = 'current'")
    response = other.client().post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert (response.status_code, response.get_json()["code"]) == (503, "gate_unavailable")
    assert published_kids(other) == [signing_and_next_kids(backend)[1]]


def test_withdrawing_an_unreadable_signing_key_restores_service(
    backend: Backend, other: Backend
) -> None:
    """The next key takes its place."""
    token = login_ada(backend)
    corrupt_keys(backend, "secret = 'AAAA'", "state = 'current'")
    other.services.key_set.key_store.withdraw(kid_of(token))
    assert is_token_accepted(other, login_ada(other))


def test_a_repaired_key_is_used_again(backend: Backend) -> None:
    """No restart is needed."""
    token = login_ada(backend)
    (row,) = (r for r in backend.services.key_set.key_store.load_all() if r.kid == kid_of(token))
    corrupt_keys(backend, "secret = 'AAAA'", "state = 'current'")
    assert backend.bearer_client(token).get("/auth/sessions").status_code == 401
    corrupt_keys(backend, f"secret = '{row.secret}'", "state = 'current'")
    assert is_token_accepted(backend, token)


def test_the_next_key_signs_when_there_is_no_current_key(backend: Backend, other: Backend) -> None:
    """R-29: the row of the current key is missing."""
    login_ada(backend)
    second = signing_and_next_kids(backend)[1]
    with backend.services.database.transaction() as tx:
        tx.connection().exec_driver_sql("DELETE FROM itemsapi_signing_key WHERE state = 'current'")
    other.client().get("/.well-known/jwks.json")
    assert kid_of(login_ada(other)) == second


def test_the_younger_of_two_current_keys_signs(backend: Backend, other: Backend) -> None:
    """R-29: both verify."""
    token = login_ada(backend)
    corrupt_keys(backend, "state = 'current'", "state = 'next'")
    assert is_token_accepted(other, token)
    assert is_token_accepted(other, login_ada(other))


def test_new_keys_are_created_when_all_were_withdrawn(backend: Backend) -> None:
    """By mistake: clients refresh and continue."""
    tokens = backend.login("ada")
    corrupt_keys(backend, "state = 'withdrawn'", "1 = 1")
    body = {"refresh_token": tokens["refresh_token"]}
    response = backend.client().post("/auth/refresh", json=body)
    assert is_token_accepted(backend, response.get_json()["access_token"])


WRONG_SECRET: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/auth/login", {"json": {"username": "ada", "password": PASSWORD}}),
    ("POST", "/auth/refresh", {"json": {"refresh_token": "a.b.c"}}),
    ("POST", "/oauth/revoke", {"data": {"token": "a.b.c"}}),
    ("GET", "/auth/sessions", {"headers": {"Authorization": "Bearer a.b.c"}}),
    ("GET", "/.well-known/jwks.json", {}),
    ("GET", "/health/ready", {}),
]


@pytest.mark.parametrize(("method", "path", "sent"), WRONG_SECRET)
def test_tokens_get_503_when_the_secret_key_is_wrong(
    make_backend: Build, backend: Backend, method: str, path: str, sent: dict[str, Any]
) -> None:
    """R-24: on a 401 every browser would sign its user out."""
    login_ada(backend)
    stranger = make_backend(secret_key=ANOTHER_SECRET)
    response = stranger.client().open(path, method=method, **sent)
    assert response.status_code == 503


def test_tokens_get_503_when_the_secret_key_cannot_be_made(
    make_backend: Build, tmp_path: Path
) -> None:
    """R-24: in development the first key makes it; here a file is in the place of the folder."""
    (tmp_path / "file").touch()
    backend = make_backend(secret_key="", data_dir=tmp_path / "file" / "data")
    assert backend.client().get("/health/ready").status_code == 503


def test_the_start_fails_when_the_secret_key_is_wrong(
    make_backend: Build, backend: Backend
) -> None:
    """R-24: with one line that names the setting."""
    login_ada(backend)
    with pytest.raises(SettingsError, match="ITEMSAPI_SECRET_KEY does not fit") as refused:
        make_backend(secret_key=ANOTHER_SECRET).services.key_set.key_store.check_signing_key()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("step", ["rotate", "withdraw"])
def test_no_key_changes_when_the_secret_key_is_wrong(
    make_backend: Build, backend: Backend, step: str
) -> None:
    """Other processes could not decrypt the new keys."""
    login_ada(backend)
    backend.clock.advance(minutes=5)
    before = states_by_kid(backend)
    store = make_backend(secret_key=ANOTHER_SECRET).services.key_set.key_store
    with pytest.raises(SettingsError):
        store.rotate() if step == "rotate" else store.withdraw(next(iter(before)))
    assert states_by_kid(backend) == before


def test_the_check_succeeds_when_the_secret_key_is_right(backend: Backend) -> None:
    """R-24: before the first request and after."""
    backend.services.key_set.key_store.check_signing_key()
    login_ada(backend)
    backend.services.key_set.key_store.check_signing_key()


def make_unavailable(backend: Backend) -> None:
    """Make the database unavailable to the key store."""
    with backend.services.database.transaction() as tx:
        tx.connection().exec_driver_sql("ALTER TABLE itemsapi_signing_key RENAME TO away")


def test_the_copy_is_used_without_the_database(backend: Backend) -> None:
    """R-03: JWKS and verification need no database for a while."""
    first = published_kids(backend)
    make_unavailable(backend)
    assert published_kids(backend) == first


def test_tokens_get_503_when_there_is_no_copy(backend: Backend, other: Backend) -> None:
    """R-03: a process that starts now knows no key."""
    login_ada(backend)
    make_unavailable(backend)
    with pytest.raises(GateUnavailable):
        other.services.key_set.snapshot()


def test_unreadable_keys_are_queried_once_per_lag(make_backend: Build, timer: ManualTimer) -> None:
    """R-03: twenty requests in one second do not cause twenty queries."""
    backend = make_backend(revocation_lag=timedelta(seconds=1))
    backend.services.key_set.snapshot()
    timer.advance(1)
    with failing_database(backend.services.database, 1, "from then on") as steps:
        for _ in range(20):
            backend.services.key_set.snapshot()
    assert steps.failed == 1


def test_tokens_get_503_when_the_copy_is_too_old_between_two_reads(
    make_backend: Build, timer: ManualTimer
) -> None:
    """R-03: after a minute, although the last attempt to read is younger than the lag."""
    backend = make_backend(revocation_lag=timedelta(seconds=5))
    key_set = backend.services.key_set
    key_set.snapshot()
    make_unavailable(backend)
    timer.advance(MAX_KEY_AGE_SECONDS - 1)
    assert key_set.snapshot().verifying
    timer.advance(2)
    with pytest.raises(GateUnavailable):
        key_set.snapshot()


def test_a_request_with_a_stale_copy_waits_for_the_reload(
    make_backend: Build, timer: ManualTimer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-147: a withdrawn key must be rejected within two seconds."""
    monkeypatch.setattr(key_sets, "RELOAD_WAIT_SECONDS", 60.0)  # this machine may be slow
    here, there = make_backend(), make_backend()
    kid = there.services.key_set.snapshot().current.kid
    here.services.key_set.key_store.withdraw(kid)
    timer.advance(1.75)
    reads, was_answered = threading.Event(), threading.Event()

    def read_slowly(*_: object) -> None:
        reads.set()
        was_answered.wait(0.2)  # to the end if the other request waits for this one

    event.listen(there.services.database.engine, "after_cursor_execute", read_slowly, once=True)
    reader = threading.Thread(target=there.services.key_set.snapshot)
    reader.start()
    assert reads.wait(60)
    answer = there.services.key_set.find(kid)
    was_answered.set()
    reader.join()
    assert answer is None
