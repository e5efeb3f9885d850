"""The states of a key: next, current, retired, withdrawn; rotation and its failures."""

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest

from itemsapi.db import AnyRow
from itemsapi.testing.tokens import decode_part
from itemsapi.tokens.key_store import (
    PUBLISHED_BEFORE_SIGNING,
    VERIFIES_AFTER_RETIREMENT,
    KeyUnknown,
    RotationTooEarly,
)
from support.app_factory import Backend
from support.keys import (
    corrupt_keys,
    is_token_accepted,
    key_states,
    kid_of,
    login_ada,
    published_kids,
    rotate_when_allowed,
    signing_and_next_kids,
    states_by_kid,
)
from support.race import race

Build = Callable[..., Backend]

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


def test_a_new_database_gets_a_current_and_a_next_key(backend: Backend) -> None:
    """S-147: both are created by the first request, and published."""
    assert key_states(backend) == ["current", "next"]
    assert set(published_kids(backend)) == set(states_by_kid(backend))


def test_the_next_key_signs_after_rotation(backend: Backend) -> None:
    """S-147: the next key is current, the current one is retired, and there is a new next key."""
    first, second = signing_and_next_kids(backend)
    assert rotate_when_allowed(backend) == second == kid_of(login_ada(backend))
    assert (states_by_kid(backend)[first], states_by_kid(backend)[second]) == ("retired", "current")


def test_the_next_key_is_published_before_it_signs(backend: Backend) -> None:
    """S-030: a JWKS that was fetched a minute ago contains the key of a token created now."""
    before = published_kids(backend)
    rotate_when_allowed(backend)
    assert kid_of(login_ada(backend)) in before


def test_a_token_stays_valid_after_a_rotation(backend: Backend) -> None:
    """R-20: a planned rotation invalidates no token."""
    token = login_ada(backend)
    rotate_when_allowed(backend)
    assert is_token_accepted(backend, token)


def test_a_retired_key_is_published_while_its_tokens_are_valid(backend: Backend) -> None:
    """S-030: for the longest access token lifetime."""
    first, _ = signing_and_next_kids(backend)
    rotate_when_allowed(backend)
    backend.clock.advance(seconds=VERIFIES_AFTER_RETIREMENT.total_seconds() - 1)
    assert first in published_kids(backend)


def test_a_retired_key_stops_verifying_after_its_tokens_expired(backend: Backend) -> None:
    """S-147: although its row still exists."""
    first, _ = signing_and_next_kids(backend)
    rotate_when_allowed(backend)
    backend.clock.advance(seconds=VERIFIES_AFTER_RETIREMENT.total_seconds() + 1)
    assert first not in published_kids(backend)
    assert states_by_kid(backend)[first] == "retired"


@pytest.mark.parametrize(("minutes", "verifies"), [(64.9, True), (65, False)])
def test_a_retired_key_verifies_for_an_hour_and_five_minutes(
    backend: Backend, minutes: float, verifies: bool
) -> None:
    """S-147: the longest lifetime of a token that can be set is an hour, and its jitter."""
    first, _ = signing_and_next_kids(backend)
    rotate_when_allowed(backend)
    backend.clock.advance(minutes=minutes)
    assert (first in published_kids(backend)) is verifies


@pytest.mark.parametrize("waited", [0, 30, 69])
def test_a_rotation_fails_until_the_next_key_was_published_long_enough(
    backend: Backend, waited: int
) -> None:
    """S-030: a JWKS may be cached for a minute."""
    backend.services.key_set.snapshot()
    backend.clock.advance(seconds=waited)
    with pytest.raises(RotationTooEarly) as refused:
        backend.services.key_set.key_store.rotate()
    assert refused.value.wait == 70 - waited


def test_an_early_rotation_changes_nothing(backend: Backend) -> None:
    """The same key still signs."""
    before = states_by_kid(backend)
    with pytest.raises(RotationTooEarly):
        backend.services.key_set.key_store.rotate()
    assert states_by_kid(backend) == before


def test_a_second_rotation_fails_until_its_next_key_was_published(backend: Backend) -> None:
    """The new next key has only just been published."""
    rotate_when_allowed(backend)
    with pytest.raises(RotationTooEarly):
        backend.services.key_set.key_store.rotate()


def test_one_of_two_simultaneous_rotations_succeeds(backend: Backend, other: Backend) -> None:
    """For the second one the new next key is too young, on both databases."""
    backend.services.key_set.snapshot()
    backend.clock.advance(minutes=5)

    def rotate() -> str | None:
        with suppress(RotationTooEarly):
            return (
                backend if threading.get_ident() % 2 else other
            ).services.key_set.key_store.rotate()
        return None

    done = [one for one in race(*[rotate] * 8) if one]
    assert len(done) == 1
    assert key_states(backend) == ["current", "next", "retired"]


def test_one_of_many_first_requests_creates_the_keys(backend: Backend, other: Backend) -> None:
    """Two processes start on an empty database."""
    key_sets = [backend.services.key_set, other.services.key_set] * 4
    kids = race(*[lambda: key_sets.pop().snapshot().current.kid] * 8)
    assert len(set(kids)) == 1
    assert key_states(backend) == ["current", "next"]


def test_another_process_uses_the_new_key_after_a_rotation(
    backend: Backend, other: Backend
) -> None:
    """S-147: it signs with the new key, and accepts tokens of both."""
    old = login_ada(other)
    rotate_when_allowed(backend)
    assert kid_of(login_ada(other)) == kid_of(login_ada(backend)) != kid_of(old)
    assert is_token_accepted(other, old)


def test_tokens_of_a_withdrawn_key_are_rejected_at_once(backend: Backend) -> None:
    """S-147: in the process that withdrew it, even for a cached token."""
    token = login_ada(backend)
    assert is_token_accepted(backend, token)
    backend.services.key_set.key_store.withdraw(kid_of(token))
    assert not is_token_accepted(backend, token)


def test_tokens_of_a_withdrawn_key_are_rejected_in_other_processes(
    backend: Backend, other: Backend
) -> None:
    """S-147: within the lag, which is zero here."""
    token = login_ada(backend)
    assert is_token_accepted(other, token)
    backend.services.key_set.key_store.withdraw(kid_of(token))
    assert not is_token_accepted(other, token)


def test_a_withdrawn_key_is_removed_from_the_jwks(backend: Backend) -> None:
    """S-030: other services reject it too when they reload the JWKS."""
    token = login_ada(backend)
    backend.services.key_set.key_store.withdraw(kid_of(token))
    assert kid_of(token) not in published_kids(backend)


def test_sessions_continue_after_a_key_was_withdrawn(backend: Backend) -> None:
    """Refresh tokens have a key of their own, so clients get a token of the next key."""
    tokens = backend.login("ada")
    backend.services.key_set.key_store.withdraw(kid_of(tokens["access_token"]))
    body = {"refresh_token": tokens["refresh_token"]}
    tokens = backend.client().post("/auth/refresh", json=body).get_json()
    assert is_token_accepted(backend, tokens["access_token"])


def test_the_next_key_signs_when_the_current_one_is_withdrawn(backend: Backend) -> None:
    """S-147: at once; it was published long before."""
    first, second = signing_and_next_kids(backend)
    backend.services.key_set.key_store.withdraw(first)
    assert kid_of(login_ada(backend)) == second
    assert key_states(backend) == ["current", "next", "withdrawn"]


def test_a_next_key_is_created_when_the_next_one_is_withdrawn(backend: Backend) -> None:
    """The signing key stays the same."""
    first, second = signing_and_next_kids(backend)
    backend.services.key_set.key_store.withdraw(second)
    assert (kid_of(login_ada(backend)), key_states(backend)) == (
        first,
        ["current", "next", "withdrawn"],
    )


def test_a_retired_key_can_be_withdrawn(backend: Backend) -> None:
    """Its tokens might be forged."""
    token = login_ada(backend)
    rotate_when_allowed(backend)
    backend.services.key_set.key_store.withdraw(kid_of(token))
    assert not is_token_accepted(backend, token)


@pytest.mark.parametrize("twice", [True, False])
def test_withdrawing_an_unknown_key_fails(backend: Backend, twice: bool) -> None:
    """A typing error must not look like a success."""
    first, _ = signing_and_next_kids(backend)
    if twice:
        backend.services.key_set.key_store.withdraw(first)
    with pytest.raises(KeyUnknown):
        backend.services.key_set.key_store.withdraw(first if twice else "x")


def test_rotations_and_withdrawals_are_audited(backend: Backend) -> None:
    """S-149."""
    first = rotate_when_allowed(backend)
    backend.services.key_set.key_store.withdraw(first)
    latest = backend.services.audit.latest
    assert len(latest(before=None, limit=9, event="crypto_key_rotated")) == 3
    assert first in latest(before=None, limit=9, event="crypto_key_withdrawn")[0].details


def test_keys_rotate_on_schedule(make_backend: Build, backend: Backend) -> None:
    """S-194: by setting, during a request, and no request fails."""
    planned = make_backend(revocation_lag=NO_LAG, key_rotation=timedelta(days=30))
    token = login_ada(planned)
    backend.clock.advance(days=30)
    fresh = [login_ada(planned), login_ada(planned)][1]
    assert kid_of(fresh) != kid_of(token)
    assert is_token_accepted(planned, fresh)


def test_keys_rotate_once_a_period(make_backend: Build, backend: Backend) -> None:
    """However many requests there are."""
    planned = make_backend(revocation_lag=NO_LAG, key_rotation=timedelta(days=30))
    login_ada(planned)
    backend.clock.advance(days=30)
    login_ada(planned)
    backend.clock.advance(days=29)
    login_ada(planned)
    assert key_states(planned) == ["current", "next", "retired"]


def test_the_schedule_waits_until_the_next_key_was_published_long_enough(
    make_backend: Build, backend: Backend
) -> None:
    """S-030: even if the rotation is due."""
    hasty = make_backend(revocation_lag=NO_LAG, key_rotation=timedelta(seconds=30))
    token = login_ada(hasty)
    backend.clock.advance(seconds=40)
    assert [kid_of(login_ada(hasty)) for _ in range(2)] == [kid_of(token)] * 2


def test_the_schedule_waits_for_the_key_of_a_new_algorithm(
    make_backend: Build, backend: Backend
) -> None:
    """S-030: its first key is published before it signs, even if the rotation is due."""
    token = login_ada(backend)
    backend.clock.advance(days=30)
    changed = make_backend(
        revocation_lag=NO_LAG, key_rotation=timedelta(days=30), signing_alg="ES256"
    )
    assert [kid_of(login_ada(changed)) for _ in range(2)] == [kid_of(token)] * 2
    assert key_states(changed) == ["current", "next", "next"]


def test_the_schedule_publishes_a_missing_next_key(make_backend: Build, backend: Backend) -> None:
    """R-29: when the rotation is due."""
    hasty = make_backend(revocation_lag=NO_LAG, key_rotation=timedelta(seconds=30))
    login_ada(hasty)
    with backend.services.database.transaction() as tx:
        tx.connection().exec_driver_sql("DELETE FROM itemsapi_signing_key WHERE state = 'next'")
    backend.clock.advance(seconds=40)
    login_ada(hasty)
    assert key_states(backend) == ["current", "next"]


def test_tokens_are_accepted_when_a_scheduled_rotation_fails(
    make_backend: Build, backend: Backend, capsys: pytest.CaptureFixture[str]
) -> None:
    """R-06: nothing can be written when the rotation is due; it is retried after a while."""
    planned = make_backend(revocation_lag=NO_LAG, key_rotation=timedelta(minutes=5))
    token = login_ada(planned)
    backend.clock.advance(minutes=6)
    with backend.services.database.transaction() as tx:
        tx.connection().exec_driver_sql("ALTER TABLE itemsapi_audit_event RENAME TO away")
    capsys.readouterr()
    assert [is_token_accepted(planned, token) for _ in range(3)] == [True, True, True]
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    logged = [(line["event"], "itemsapi_audit_event" in line["reason"]) for line in lines]
    assert logged == [("key_upkeep_failed", True)]


def test_both_algorithms_verify_after_a_change_of_the_setting(
    make_backend: Build, backend: Backend
) -> None:
    """S-146: the setting takes effect with the next rotation."""
    old = login_ada(backend)
    changed = make_backend(revocation_lag=NO_LAG, signing_alg="ES256")
    with suppress(RotationTooEarly):
        changed.services.key_set.key_store.rotate()
    assert decode_part(login_ada(changed), 0)["alg"] == "EdDSA"
    rotate_when_allowed(changed)
    assert decode_part(login_ada(changed), 0)["alg"] == "ES256"
    assert is_token_accepted(changed, old)


def test_processes_with_two_algorithms_can_both_rotate(
    make_backend: Build, backend: Backend
) -> None:
    """A rolling restart: old and new processes publish a next key each."""
    changed = make_backend(revocation_lag=NO_LAG, signing_alg="ES256")
    login_ada(backend)
    for one in (changed, backend):
        with suppress(RotationTooEarly):
            one.services.key_set.key_store.rotate()
    assert rotate_when_allowed(changed)
    assert key_states(backend) == ["current", "next", "retired", "withdrawn"]


@pytest.mark.parametrize("alg", ["EdDSA", "ES256", "RS256"])
def test_the_jwks_has_public_members_only(make_backend: Build, alg: str) -> None:
    """S-030: no private member, `use` and `alg` set, each kid once."""
    backend = make_backend(signing_alg=alg)
    keys = backend.client().get("/.well-known/jwks.json").get_json()["keys"]
    assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & {name for key in keys for name in key}
    assert {(key["use"], key["alg"]) for key in keys} == {("sig", alg)}


def test_a_symmetric_key_is_never_published(make_backend: Build) -> None:
    """S-030: whoever can verify with it can also sign."""
    backend = make_backend(signing_alg="HS256", revocation_lag=NO_LAG)
    backend.create_user("ada")
    assert is_token_accepted(backend, login_ada(backend))
    assert published_kids(backend) == []


def test_the_repr_of_a_key_has_no_key_material(backend: Backend) -> None:
    """S-148: it may appear in a log or a traceback."""
    key = backend.services.key_set.snapshot().current
    assert repr(key) == f"Key({key.kid}, EdDSA)"


def test_the_jwks_may_be_cached_for_a_minute(backend: Backend) -> None:
    """S-030: and no longer, because a key is published that long before it signs."""
    answer = backend.client().get("/.well-known/jwks.json")
    assert answer.headers["Cache-Control"] == "public, max-age=60"
    assert timedelta(seconds=60) < PUBLISHED_BEFORE_SIGNING


def rotate_if_due(backend: Backend, rows: list[AnyRow]) -> tuple[bool, list[str]]:
    """Rotate on schedule with rows that were read before; return the answer and the states."""
    was_due = backend.services.key_set.key_store.rotate_if_due(rows)
    return was_due, sorted(row.state for row in backend.services.key_set.key_store.load_all())


@pytest.fixture
def planned(make_backend: Build) -> Backend:
    """A process that rotates its keys each minute, with a first pair of keys."""
    planned = make_backend(revocation_lag=timedelta(seconds=5), key_rotation=timedelta(minutes=1))
    planned.services.key_set.snapshot()
    return planned


def test_keys_are_not_due_before_their_period_is_over(planned: Backend) -> None:
    """S-194: so nothing is locked or read for it."""
    planned.clock.advance(seconds=59)
    rows = planned.services.key_set.key_store.load_active()
    assert rotate_if_due(planned, rows) == (False, ["current", "next"])


def test_keys_are_not_due_until_the_next_one_may_sign(planned: Backend) -> None:
    """S-194, S-030: otherwise each request would load the keys again."""
    planned.clock.advance(seconds=69)
    rows = planned.services.key_set.key_store.load_active()
    assert rotate_if_due(planned, rows) == (False, ["current", "next"])


def test_no_key_is_due_without_a_schedule_or_a_current_key(
    make_backend: Build, planned: Backend
) -> None:
    """S-194: by default, keys rotate by command only."""
    planned.clock.advance(days=400)
    rows = planned.services.key_set.key_store.load_active()
    assert rotate_if_due(make_backend(key_rotation=timedelta(0)), rows)[0] is False
    assert rotate_if_due(planned, [row for row in rows if row.state == "next"])[0] is False


def test_a_process_that_comes_late_does_not_rotate_again(planned: Backend) -> None:
    """S-194: it read the keys before another process rotated them, and reads them again."""
    planned.clock.advance(minutes=2)
    rows = planned.services.key_set.key_store.load_active()
    assert rotate_if_due(planned, rows) == (True, ["current", "next", "retired"])
    planned.clock.advance(minutes=2)
    assert rotate_if_due(planned, rows) == (True, ["current", "next", "retired"])


def test_the_younger_of_two_current_keys_decides_whether_they_are_due(planned: Backend) -> None:
    """R-29: rows written by hand."""
    planned.clock.advance(minutes=2)
    planned.services.key_set.key_store.rotate()
    corrupt_keys(planned, "state = 'current'", "state = 'retired'")
    planned.clock.advance(seconds=30)
    rows = planned.services.key_set.key_store.load_active()
    assert rotate_if_due(planned, rows) == (False, ["current", "current", "next"])


def test_the_errors_of_a_key_change_say_what_is_wrong(backend: Backend) -> None:
    """R-24: the command line shows them."""
    assert str(RotationTooEarly(12.4)) == "the next key may be used for signing after 12 s"
    assert str(KeyUnknown("abc")) == "there is no key abc, or it is withdrawn already"


def test_the_check_ignores_keys_that_do_not_sign(backend: Backend) -> None:
    """R-24: one that cannot be decrypted stops no start; a process logs it and leaves it out."""
    login_ada(backend)
    corrupt_keys(backend, "secret = 'AAAA'", "state = 'next'")
    backend.services.key_set.key_store.check_signing_key()
