"""`itemsapi keys` and `itemsapi purge`: housekeeping from the host."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from itemsapi.cli import check
from itemsapi.clock import now
from itemsapi.db import Database
from itemsapi.quota_usage import QuotaUsage
from itemsapi.tokens.key_store import PUBLISHED_BEFORE_SIGNING, SigningKey
from itemsapi.tokens.sessions import AuthSession
from support.app_factory import Backend
from support.command_line import Shell

KEYS = SigningKey.core()
MINUTE = timedelta(minutes=1)


def aged(database: Database, age: timedelta) -> None:
    """Have all keys been made some time ago."""
    with database.transaction() as tx:
        tx.execute(update(KEYS).values(created_at=datetime.now(UTC) - age))


def states(shell: Shell) -> list[str]:
    """Return the states of the keys that are listed."""
    return sorted(row["state"] for row in json.loads(shell.run("keys", "list", "--json").out))


def kid(shell: Shell, state: str) -> str:
    """Return the key in a state."""
    rows = json.loads(shell.run("keys", "list", "--json").out)
    return next(str(row["kid"]) for row in rows if row["state"] == state)


def test_a_rotation_too_early_is_one_line(shell: Shell, backend: Backend) -> None:
    """Without waiting: exit code 1, and how long it takes."""
    backend.services.key_set.snapshot()
    done = shell.run("keys", "rotate", "--no-wait")
    assert done.code == 1
    assert done.err.startswith("itemsapi: the next key may sign in ")


def test_a_rotation_in_time_does_not_wait(shell: Shell, backend: Backend) -> None:
    """S-147: the next key signs, and there is a new next."""
    backend.services.key_set.snapshot()
    aged(backend.services.database, 2 * MINUTE)
    coming = kid(shell, "next")
    assert json.loads(shell.run("keys", "rotate", "--json").out) == {"kid": coming}
    assert states(shell) == ["current", "next", "retired"]


def test_a_rotation_waits_for_what_is_left(shell: Shell, backend: Backend) -> None:
    """With a progress bar, where somebody watches."""
    backend.services.key_set.snapshot()
    aged(backend.services.database, PUBLISHED_BEFORE_SIGNING - timedelta(seconds=0.5))
    coming = kid(shell, "next")
    assert shell.run("keys", "rotate").out == f"{coming} signs from now on.\n"


def test_a_key_is_withdrawn(shell: Shell, backend: Backend) -> None:
    """S-147: an emergency; the next one signs."""
    backend.services.key_set.snapshot()
    current = kid(shell, "current")
    done = shell.run("keys", "withdraw", current, "--yes")
    assert (done.code, done.out) == (0, f"{current} is withdrawn.\n")
    assert kid(shell, "withdrawn") == current


def test_a_key_is_not_withdrawn_unasked(shell: Shell, backend: Backend) -> None:
    """Everybody's tokens die with it: say yes."""
    backend.services.key_set.snapshot()
    assert shell.run("keys", "withdraw", kid(shell, "current"), stdin="n\n").code == 1
    assert states(shell) == ["current", "next"]


def test_a_key_that_is_not_there_is_one_line(shell: Shell) -> None:
    """Exit code 1."""
    done = shell.run("keys", "withdraw", "nokey", "--yes")
    assert (done.code, done.err) == (
        1, "itemsapi: there is no key nokey, or it is withdrawn already\n",
    )  # fmt: skip


@pytest.mark.parametrize("words", [["keys", "rotate"], ["keys", "withdraw", "x", "--yes"]])
def test_a_wrong_secret_key_changes_nothing(
    shell: Shell, backend: Backend, words: list[str]
) -> None:
    """R-24: one line that names the setting."""
    backend.services.key_set.snapshot()
    wrong = Shell(shell.settings | {"secret_key": "an0ther-test-secret-0123456789-abcdefghij"})
    done = wrong.run(*words)
    assert done.code == 1
    assert "ITEMSAPI_SECRET_KEY does not fit" in done.err


def test_a_purge_says_what_went(shell: Shell, backend: Backend) -> None:
    """One row a heap, as JSON for programs."""
    backend.create_user("ada")
    backend.login("ada")
    with backend.services.database.transaction() as tx:
        tx.execute(update(AuthSession).values(ended_at=datetime.now(UTC) - timedelta(days=2)))
    rows = json.loads(shell.run("purge", "--json").out)
    deleted = {row["heap"]: row["deleted"] for row in rows}
    assert deleted.pop("sessions") == 1
    assert set(deleted.values()) == {0}


def test_a_purge_says_whose_counts_it_put_right(shell: Shell, backend: Backend) -> None:
    """After a version that does not count wrote beside this one (R-21)."""
    ada = backend.signed_in_client("ada", "member")
    ada.post("/items", json={"name": "Lamp", "price": "1", "currency": "EUR"})
    with backend.services.database.transaction() as tx:
        tx.execute(update(QuotaUsage).values(items=7))
    assert [one["corrected"] for one in shell.run("purge", "--json").json][-1] == 1
    assert [one["corrected"] for one in shell.run("purge", "--json").json][-1] == 0


def test_a_purge_deletes_nothing_on_a_host_with_a_wrong_clock(
    shell: Shell, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-112, R-10: a day ahead, it would take revocations of living tokens for old ones."""
    monkeypatch.setattr(check, "now", lambda: now() + timedelta(hours=25))
    said = shell.run("purge")
    assert (said.code, "clock differs" in said.err) == (1, True)


def test_a_purge_leaves_what_lives(shell: Shell, backend: Backend) -> None:
    """It may run at any time."""
    backend.create_user("ada")
    tokens = backend.login("ada")
    assert shell.run("purge").code == 0
    body = {"refresh_token": tokens["refresh_token"]}
    assert backend.client().post("/auth/refresh", json=body).status_code == 200
