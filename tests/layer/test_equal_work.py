"""A refused sign-in verifies as many hashes for every name, whoever's users they are."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from werkzeug.security import check_password_hash

from itemsapi.attempt_limits import AttemptCounter, Limit
from support.host_app import Host
from support.password_counter import count_verifications

pytestmark = pytest.mark.dialect("sqlite")  # the work does not depend on the database
NAMES = ["known", "disabled", "without", "odd", "nobody", "x\u200dy", "a b"]


@pytest.fixture
def host(host: Host) -> Host:
    """An application with users of each kind; some have Argon2id already."""
    for name, columns in (
        ("known", {}),
        ("disabled", {"active": False}),
        ("without", {"password_hash": None}),
        ("odd", {"password_hash": "no hash of any library"}),
        ("renewed", {}),
    ):
        host.create_user(name, **columns)
    host.login("renewed")
    return host


@pytest.mark.parametrize("password", ["wrong", "x" * 100], ids=["short", "long"])
@pytest.mark.parametrize("is_locked", [False, True])
def test_every_name_costs_the_same_verifications(
    host: Host, monkeypatch: pytest.MonkeyPatch, password: str, is_locked: bool
) -> None:
    """S-113, S-184: known, disabled, without a password, unknown."""
    if is_locked:
        for name in NAMES:
            lock(host, name)
    work = {name: count_work(host, monkeypatch, name, password) for name in [*NAMES, "renewed"]}
    assert set(map(repr, work.values())) == {repr(work["nobody"])}
    assert sum(work["nobody"].values()) > 0


def lock(host: Host, name: str) -> None:
    """Use up the attempts of all clients at the password of a name."""
    digest = Limit(("user", name), 1, timedelta(minutes=15)).digest
    with host.services.database.transaction() as tx:
        tx.merge(AttemptCounter(key=digest, started_at=host.clock(), failures=200))


def count_work(
    host: Host, monkeypatch: pytest.MonkeyPatch, name: str, password: str
) -> Counter[str]:
    """Return how many hashes of each kind a refused sign-in verifies."""
    with monkeypatch.context() as patch:
        made: list[str] = count_verifications(patch)

        def count(stored: str, given: str) -> Any:
            made.append(stored.split("$", 1)[0])
            return check_password_hash(stored, given)

        patch.setattr("werkzeug.security.check_password_hash", count)
        assert host.try_login(name, password).status_code in {401, 429}
        return Counter(sorted(made))
