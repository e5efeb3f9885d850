"""`itemsapi keys` and `itemsapi purge`."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import update

from itemsapi.cli import host_clock
from itemsapi.clock import now
from itemsapi.db import Database
from itemsapi.quota_usage import QuotaUsage
from itemsapi.tokens.key_store import PUBLISHED_BEFORE_SIGNING, SigningKey
from itemsapi.tokens.sessions import AuthSession
from support.app_factory import Backend
from support.command_line import Shell

KEYS = SigningKey.core()
MINUTE = timedelta(minutes=1)


def age_keys(database: Database, age: timedelta) -> None:
    """Set the creation time of all keys to `age` ago."""
    with database.transaction() as tx:
        tx.execute(update(KEYS).values(created_at=datetime.now(UTC) - age))


def states(shell: Shell) -> list[str]:
    """Return the states of the listed keys."""
    return sorted(row["state"] for row in json.loads(shell.run("keys", "list", "--json").out))


def kid(shell: Shell, state: str) -> str:
    """Return the kid of the key in a state."""
    rows = json.loads(shell.run("keys", "list", "--json").out)
    return next(str(row["kid"]) for row in rows if row["state"] == state)


def test_a_rotation_fails_when_too_early_without_waiting(shell: Shell, backend: Backend) -> None:
    """The exit code is 1, and the message says how long to wait."""
    backend.services.key_set.snapshot()
    done = shell.run("keys", "rotate", "--no-wait")
    assert done.code == 1
    assert done.err.startswith("itemsapi: the next key may be used for signing after ")


def test_a_rotation_succeeds_when_the_next_key_is_old_enough(
    shell: Shell, backend: Backend
) -> None:
    """S-147: the next key signs, and a new next key exists."""
    backend.services.key_set.snapshot()
    age_keys(backend.services.database, 2 * MINUTE)
    next_kid = kid(shell, "next")
    assert json.loads(shell.run("keys", "rotate", "--json").out) == {"kid": next_kid}
    assert states(shell) == ["current", "next", "retired"]


def test_a_rotation_waits_for_the_remaining_time(
    shell: Shell, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says once what it waits for; at a terminal a progress bar is shown too."""
    database, waited = backend.services.database, list[int]()
    backend.services.key_set.snapshot()
    age_keys(database, PUBLISHED_BEFORE_SIGNING - MINUTE)
    next_kid = kid(shell, "next")

    def sleep(seconds: int) -> None:
        waited.append(seconds)
        age_keys(database, PUBLISHED_BEFORE_SIGNING)

    monkeypatch.setattr("itemsapi.cli.keys.time", SimpleNamespace(sleep=sleep))
    done = shell.run("keys", "rotate")
    assert done.out == f"{next_kid} signs from now on.\n"
    assert done.err.startswith("Waiting until the next key has been published for 70 s")
    assert done.err.endswith(f": {sum(waited)} s.\n")


def test_a_key_is_withdrawn_when_confirmed(shell: Shell, backend: Backend) -> None:
    """S-147: for emergencies; the next key signs."""
    backend.services.key_set.snapshot()
    current = kid(shell, "current")
    done = shell.run("keys", "withdraw", current, "--yes")
    assert (done.code, done.out) == (0, f"{current} is withdrawn.\n")
    assert kid(shell, "withdrawn") == current


def test_a_key_is_not_withdrawn_without_confirmation(shell: Shell, backend: Backend) -> None:
    """It invalidates the access tokens of all users."""
    backend.services.key_set.snapshot()
    done = shell.run("keys", "withdraw", kid(shell, "current"))
    assert (done.code, "Add --yes to confirm" in done.err) == (1, True)
    assert states(shell) == ["current", "next"]


@pytest.mark.parametrize("words", [[], ["--yes"]])
def test_an_unknown_key_is_a_one_line_error(shell: Shell, words: list[str]) -> None:
    """The exit code is 1. It is said before anything is asked."""
    done = shell.run("keys", "withdraw", "nokey", *words)
    assert (done.code, done.err) == (
        1, "itemsapi: there is no key nokey, or it is withdrawn already\n",
    )  # fmt: skip


@pytest.mark.parametrize("words", [["keys", "rotate"], ["keys", "withdraw", "x", "--yes"]])
def test_a_wrong_secret_key_changes_nothing(
    shell: Shell, backend: Backend, words: list[str]
) -> None:
    """R-24: the one-line error names the setting."""
    backend.services.key_set.snapshot()
    wrong = Shell(shell.settings | {"secret_key": "an0ther-test-secret-0123456789-abcdefghij"})
    done = wrong.run(*words)
    assert done.code == 1
    assert "ITEMSAPI_SECRET_KEY does not fit" in done.err


def test_a_purge_reports_the_deleted_rows(shell: Shell, backend: Backend) -> None:
    """JSON has one row for each target."""
    backend.create_user("ada")
    backend.login("ada")
    with backend.services.database.transaction() as tx:
        tx.execute(update(AuthSession).values(ended_at=datetime.now(UTC) - timedelta(days=2)))
    rows = json.loads(shell.run("purge", "--json").out)
    deleted = {row["target"]: row["deleted"] for row in rows}
    assert deleted.pop("sessions") == 1
    assert set(deleted.values()) == {0}


def test_a_purge_reports_corrected_quota_usage(shell: Shell, backend: Backend) -> None:
    """An older version that does not count may have written at the same time (R-21)."""
    ada = backend.signed_in_client("ada", "member")
    ada.post("/items", json={"name": "Lamp", "price": "1", "currency": "EUR"})
    with backend.services.database.transaction() as tx:
        tx.execute(update(QuotaUsage).values(items=7))
    assert [one["corrected"] for one in shell.run("purge", "--json").json][-1] == 1
    assert [one["corrected"] for one in shell.run("purge", "--json").json][-1] == 0


def test_a_purge_deletes_nothing_when_the_clock_is_wrong(
    shell: Shell, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-112, R-10: a clock that is a day ahead would make revocations of valid tokens look old."""
    monkeypatch.setattr(host_clock, "now", lambda: now() + timedelta(hours=25))
    result = shell.run("purge")
    assert (result.code, "clock differs" in result.err) == (1, True)


def test_a_purge_keeps_open_sessions(shell: Shell, backend: Backend) -> None:
    """It may run at any time."""
    backend.create_user("ada")
    tokens = backend.login("ada")
    assert shell.run("purge").code == 0
    body = {"refresh_token": tokens["refresh_token"]}
    assert backend.client().post("/auth/refresh", json=body).status_code == 200
