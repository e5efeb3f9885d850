"""Keys in motion: made, published, signing, retired, withdrawn; and what goes wrong on the way."""

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from support.race import race

from itemsapi.tokens.key_store import (
    PUBLISHED_BEFORE_SIGNING,
    VERIFIES_AFTER_RETIREMENT,
    KeyUnknown,
    RotationTooEarly,
)
from support.app_factory import Backend
from support.forged_tokens import decode_part
from support.keys import (
    is_token_accepted,
    key_states,
    kid_of,
    login_ada,
    published_kids,
    rotate_when_allowed,
    signing_and_next_kids,
    states_by_kid,
)

Build = Callable[..., Backend]

NO_LAG = timedelta(0)


@pytest.fixture
def backend(make_backend: Build) -> Backend:
    """A process that looks at the keys at every request, with ada in the backend."""
    backend = make_backend(revocation_lag=NO_LAG)
    backend.create_user("ada", "member")
    return backend


@pytest.fixture
def other(make_backend: Build, backend: Backend) -> Backend:
    """Another process on the same database."""
    return make_backend(revocation_lag=NO_LAG)


def test_a_new_house_has_a_key_and_the_next_one(backend: Backend) -> None:
    """S-147: both are made by the first request, and published."""
    assert key_states(backend) == ["current", "next"]
    assert set(published_kids(backend)) == set(states_by_kid(backend))


def test_the_next_key_signs_after_rotation(backend: Backend) -> None:
    """S-147: what was next is current, what was current is retired, and there is a new next."""
    first, second = signing_and_next_kids(backend)
    assert rotate_when_allowed(backend) == second == kid_of(login_ada(backend))
    assert (states_by_kid(backend)[first], states_by_kid(backend)[second]) == ("retired", "current")


def test_who_rotates_signs_with_the_next_key_at_once(make_backend: Build) -> None:
    """S-147: the process that rotated does not go on with its copy."""
    backend = make_backend(revocation_lag=timedelta(seconds=5))
    backend.create_user("ada", "member")
    login_ada(backend)
    assert rotate_when_allowed(backend) == kid_of(login_ada(backend))


def test_the_next_key_is_published_before_it_signs(backend: Backend) -> None:
    """S-030: whoever fetched JWKS a minute ago knows the key of a token made now."""
    before = published_kids(backend)
    rotate_when_allowed(backend)
    assert kid_of(login_ada(backend)) in before


def test_a_token_outlives_the_rotation(backend: Backend) -> None:
    """R-20: a planned rotation refuses nobody."""
    token = login_ada(backend)
    rotate_when_allowed(backend)
    assert is_token_accepted(backend, token)


def test_a_retired_key_is_published_while_a_token_of_it_can_live(backend: Backend) -> None:
    """S-030: kept for one access lifetime, the longest there may be."""
    first, _ = signing_and_next_kids(backend)
    rotate_when_allowed(backend)
    backend.clock.advance(seconds=VERIFIES_AFTER_RETIREMENT.total_seconds() - 1)
    assert first in published_kids(backend)


def test_a_retired_key_is_dropped_after_its_time(backend: Backend) -> None:
    """S-147: it verifies no more, though its row is there."""
    first, _ = signing_and_next_kids(backend)
    rotate_when_allowed(backend)
    backend.clock.advance(seconds=VERIFIES_AFTER_RETIREMENT.total_seconds() + 1)
    assert first not in published_kids(backend)
    assert states_by_kid(backend)[first] == "retired"


@pytest.mark.parametrize("waited", [0, 30, 69])
def test_rotation_waits_until_the_next_key_is_known(backend: Backend, waited: int) -> None:
    """S-030: JWKS may be kept for a minute."""
    backend.services.key_set.snapshot()
    backend.clock.advance(seconds=waited)
    with pytest.raises(RotationTooEarly) as refused:
        backend.services.key_set.rotate()
    assert refused.value.wait == 70 - waited


def test_a_rotation_too_early_changes_nothing(backend: Backend) -> None:
    """The key that signs still does."""
    before = states_by_kid(backend)
    with pytest.raises(RotationTooEarly):
        backend.services.key_set.rotate()
    assert states_by_kid(backend) == before


def test_a_second_rotation_waits_again(backend: Backend) -> None:
    """The key after the next one has only just been published."""
    rotate_when_allowed(backend)
    with pytest.raises(RotationTooEarly):
        backend.services.key_set.rotate()


def test_of_two_rotations_at_once_one_happens(backend: Backend, other: Backend) -> None:
    """The second finds the key after the next one too young, on both databases."""
    backend.services.key_set.snapshot()
    backend.clock.advance(minutes=5)

    def rotate() -> str | None:
        with suppress(RotationTooEarly):
            return (backend if threading.get_ident() % 2 else other).services.key_set.rotate()
        return None

    done = [one for one in race(*[rotate] * 8) if one]
    assert len(done) == 1
    assert key_states(backend) == ["current", "next", "retired"]


def test_of_many_first_requests_one_makes_the_keys(backend: Backend, other: Backend) -> None:
    """Two processes start on an empty database."""
    rings = [backend.services.key_set, other.services.key_set] * 4
    found = race(*[lambda: rings.pop().snapshot().current.kid] * 8)
    assert len(set(found)) == 1
    assert key_states(backend) == ["current", "next"]


def test_rotation_is_picked_up_elsewhere(backend: Backend, other: Backend) -> None:
    """S-147: the other process signs with the new key, and takes tokens of both."""
    old = login_ada(other)
    rotate_when_allowed(backend)
    assert kid_of(login_ada(other)) == kid_of(login_ada(backend)) != kid_of(old)
    assert is_token_accepted(other, old)


def test_a_withdrawn_key_is_refused_here_at_once(backend: Backend) -> None:
    """S-147: an emergency; the token was even remembered."""
    token = login_ada(backend)
    assert is_token_accepted(backend, token)
    backend.services.key_set.withdraw(kid_of(token))
    assert not is_token_accepted(backend, token)


def test_a_withdrawn_key_is_refused_elsewhere(backend: Backend, other: Backend) -> None:
    """S-147: within the lag, which is none here."""
    token = login_ada(backend)
    assert is_token_accepted(other, token)
    backend.services.key_set.withdraw(kid_of(token))
    assert not is_token_accepted(other, token)


def test_a_withdrawn_key_leaves_jwks(backend: Backend) -> None:
    """S-030: other services refuse it too, as soon as they look."""
    token = login_ada(backend)
    backend.services.key_set.withdraw(kid_of(token))
    assert kid_of(token) not in published_kids(backend)


def test_a_withdrawn_key_signs_nobody_out(backend: Backend) -> None:
    """Refresh tokens have a key of their own, so clients get a token of the next key."""
    tokens = backend.login("ada")
    backend.services.key_set.withdraw(kid_of(tokens["access_token"]))
    body = {"refresh_token": tokens["refresh_token"]}
    given = backend.client().post("/auth/refresh", json=body).get_json()
    assert is_token_accepted(backend, given["access_token"])


def test_the_next_key_signs_when_the_current_one_is_withdrawn(backend: Backend) -> None:
    """S-147: at once, for there is no time to lose; it has been published for long."""
    first, second = signing_and_next_kids(backend)
    backend.services.key_set.withdraw(first)
    assert kid_of(login_ada(backend)) == second
    assert key_states(backend) == ["current", "next", "withdrawn"]


def test_another_next_key_is_made_when_the_next_one_is_withdrawn(backend: Backend) -> None:
    """The key that signs is not touched."""
    first, second = signing_and_next_kids(backend)
    backend.services.key_set.withdraw(second)
    assert (kid_of(login_ada(backend)), key_states(backend)) == (
        first,
        ["current", "next", "withdrawn"],
    )


def test_a_retired_key_can_be_withdrawn(backend: Backend) -> None:
    """Its tokens might be forged."""
    token = login_ada(backend)
    rotate_when_allowed(backend)
    backend.services.key_set.withdraw(kid_of(token))
    assert not is_token_accepted(backend, token)


@pytest.mark.parametrize("twice", [True, False])
def test_only_a_key_that_is_there_is_withdrawn(backend: Backend, twice: bool) -> None:
    """A slip of the pen must not look like a success."""
    first, _ = signing_and_next_kids(backend)
    if twice:
        backend.services.key_set.withdraw(first)
    with pytest.raises(KeyUnknown):
        backend.services.key_set.withdraw(first if twice else "x")


def test_steps_are_on_the_trail(backend: Backend) -> None:
    """S-149: who rotates and withdraws leaves a trace."""
    first = rotate_when_allowed(backend)
    backend.services.key_set.withdraw(first)
    latest = backend.services.audit.latest
    assert len(latest(before=None, limit=9, event="crypto_key_rotated")) == 3
    assert first in latest(before=None, limit=9, event="crypto_key_withdrawn")[0].details


def test_the_schedule_rotates_by_itself(make_backend: Build, backend: Backend) -> None:
    """S-194: by setting, inside a request, and nobody is refused."""
    planned = make_backend(revocation_lag=NO_LAG, key_rotation=timedelta(days=30))
    token = login_ada(planned)
    backend.clock.advance(days=30)
    fresh = [login_ada(planned), login_ada(planned)][1]
    assert kid_of(fresh) != kid_of(token)
    assert is_token_accepted(planned, fresh)


def test_the_schedule_rests_until_it_is_due(make_backend: Build, backend: Backend) -> None:
    """One rotation a period, however many requests there are."""
    planned = make_backend(revocation_lag=NO_LAG, key_rotation=timedelta(days=30))
    login_ada(planned)
    backend.clock.advance(days=30)
    login_ada(planned)
    backend.clock.advance(days=29)
    login_ada(planned)
    assert key_states(planned) == ["current", "next", "retired"]


def test_the_schedule_waits_until_the_next_key_is_known(
    make_backend: Build, backend: Backend
) -> None:
    """S-030: due or not, JWKS may be kept for a minute."""
    hasty = make_backend(revocation_lag=NO_LAG, key_rotation=timedelta(seconds=30))
    token = login_ada(hasty)
    backend.clock.advance(seconds=40)
    assert [kid_of(login_ada(hasty)) for _ in range(2)] == [kid_of(token)] * 2


def test_the_schedule_waits_for_a_key_of_another_algorithm(
    make_backend: Build, backend: Backend
) -> None:
    """S-030: due or not, the first key of the new algorithm is published before it signs."""
    token = login_ada(backend)
    backend.clock.advance(days=30)
    changed = make_backend(
        revocation_lag=NO_LAG, key_rotation=timedelta(days=30), signing_alg="ES256"
    )
    assert [kid_of(login_ada(changed)) for _ in range(2)] == [kid_of(token)] * 2
    assert key_states(changed) == ["current", "next", "next"]


def test_the_schedule_publishes_a_next_key_that_is_missing(
    make_backend: Build, backend: Backend
) -> None:
    """R-29: when it is due, though the key that signs is younger than a next one may be."""
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
    """R-06: nothing can be written when the rotation is due; it is tried again after a while."""
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


def test_the_algorithm_changes_with_an_overlap(make_backend: Build, backend: Backend) -> None:
    """S-146: the setting takes effect with the next rotation; both verify meanwhile."""
    old = login_ada(backend)
    changed = make_backend(revocation_lag=NO_LAG, signing_alg="ES256")
    with suppress(RotationTooEarly):
        changed.services.key_set.rotate()
    assert decode_part(login_ada(changed), 0)["alg"] == "EdDSA"
    rotate_when_allowed(changed)
    assert decode_part(login_ada(changed), 0)["alg"] == "ES256"
    assert is_token_accepted(changed, old)


def test_two_algorithms_do_not_drive_each_other_out(make_backend: Build, backend: Backend) -> None:
    """A rolling restart: old and new processes keep a next key each, and neither is stuck."""
    changed = make_backend(revocation_lag=NO_LAG, signing_alg="ES256")
    login_ada(backend)
    for one in (changed, backend):
        with suppress(RotationTooEarly):
            one.services.key_set.rotate()
    assert rotate_when_allowed(changed)
    assert key_states(backend) == ["current", "next", "retired", "withdrawn"]


@pytest.mark.parametrize("alg", ["EdDSA", "ES256", "RS256"])
def test_jwks_shows_public_members_only(make_backend: Build, alg: str) -> None:
    """S-030: nothing that signs, `use` and `alg` set, the kid once."""
    backend = make_backend(signing_alg=alg)
    shown = backend.client().get("/.well-known/jwks.json").get_json()["keys"]
    assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & {name for key in shown for name in key}
    assert {(key["use"], key["alg"]) for key in shown} == {("sig", alg)}


def test_a_symmetric_key_is_never_shown(make_backend: Build) -> None:
    """S-030: whoever could verify could sign."""
    backend = make_backend(signing_alg="HS256", revocation_lag=NO_LAG)
    backend.create_user("ada")
    assert is_token_accepted(backend, login_ada(backend))
    assert published_kids(backend) == []


def test_a_key_shows_nothing_that_signs(backend: Backend) -> None:
    """S-148: in a log or a traceback."""
    key = backend.services.key_set.snapshot().current
    assert repr(key) == f"Key({key.kid}, EdDSA)"


def test_jwks_may_be_kept_for_a_minute(backend: Backend) -> None:
    """S-030: and no longer, for a key is published that long before it signs."""
    answer = backend.client().get("/.well-known/jwks.json")
    assert answer.headers["Cache-Control"] == "public, max-age=60"
    assert timedelta(seconds=60) < PUBLISHED_BEFORE_SIGNING
