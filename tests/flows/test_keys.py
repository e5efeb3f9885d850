"""Keys in motion: made, published, signing, retired, withdrawn; and what goes wrong on the way."""

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from itemsapi.tokens.key_store import PUBLISHED, VERIFIES, KeyUnknown, RotationTooEarly
from support.app_factory import House
from support.forged_tokens import decoded
from support.keys import access, jwks, keys, kid, kids, rotated, states, works
from support.tokens import at_once

Build = Callable[..., House]

NO_LAG = timedelta(0)


@pytest.fixture
def house(make_house: Build) -> House:
    """A process that looks at the keys at every request, with ada in the house."""
    house = make_house(revocation_lag=NO_LAG)
    house.user("ada", "member")
    return house


@pytest.fixture
def other(make_house: Build, house: House) -> House:
    """Another process on the same database."""
    return make_house(revocation_lag=NO_LAG)


def test_a_new_house_has_a_key_and_the_next_one(house: House) -> None:
    """S-147: both are made by the first request, and published."""
    assert states(house) == ["current", "next"]
    assert set(jwks(house)) == set(keys(house))


def test_the_next_key_signs_after_rotation(house: House) -> None:
    """S-147: what was next is current, what was current is retired, and there is a new next."""
    first, second = kids(house)
    assert rotated(house) == second == kid(access(house))
    assert (keys(house)[first], keys(house)[second]) == ("retired", "current")


def test_who_rotates_signs_with_the_next_key_at_once(make_house: Build) -> None:
    """S-147: the process that rotated does not go on with its copy."""
    house = make_house(revocation_lag=timedelta(seconds=5))
    house.user("ada", "member")
    access(house)
    assert rotated(house) == kid(access(house))


def test_the_next_key_is_published_before_it_signs(house: House) -> None:
    """S-030: whoever fetched JWKS a minute ago knows the key of a token made now."""
    before = jwks(house)
    rotated(house)
    assert kid(access(house)) in before


def test_a_token_outlives_the_rotation(house: House) -> None:
    """R-20: a planned rotation refuses nobody."""
    token = access(house)
    rotated(house)
    assert works(house, token)


def test_a_retired_key_is_published_while_a_token_of_it_can_live(house: House) -> None:
    """S-030: kept for one access lifetime, the longest there may be."""
    first, _ = kids(house)
    rotated(house)
    house.clock.forward(seconds=VERIFIES.total_seconds() - 1)
    assert first in jwks(house)


def test_a_retired_key_is_dropped_after_its_time(house: House) -> None:
    """S-147: it verifies no more, though its row is there."""
    first, _ = kids(house)
    rotated(house)
    house.clock.forward(seconds=VERIFIES.total_seconds() + 1)
    assert first not in jwks(house)
    assert keys(house)[first] == "retired"


@pytest.mark.parametrize("waited", [0, 30, 69])
def test_rotation_waits_until_the_next_key_is_known(house: House, waited: int) -> None:
    """S-030: JWKS may be kept for a minute."""
    house.services.key_set.now()
    house.clock.forward(seconds=waited)
    with pytest.raises(RotationTooEarly) as refused:
        house.services.key_set.rotate()
    assert refused.value.wait == 70 - waited


def test_a_rotation_too_early_changes_nothing(house: House) -> None:
    """The key that signs still does."""
    before = keys(house)
    with pytest.raises(RotationTooEarly):
        house.services.key_set.rotate()
    assert keys(house) == before


def test_a_second_rotation_waits_again(house: House) -> None:
    """The key after the next one has only just been published."""
    rotated(house)
    with pytest.raises(RotationTooEarly):
        house.services.key_set.rotate()


def test_of_two_rotations_at_once_one_happens(house: House, other: House) -> None:
    """The second finds the key after the next one too young, on both databases."""
    house.services.key_set.now()
    house.clock.forward(minutes=5)

    def rotate() -> str | None:
        with suppress(RotationTooEarly):
            return (house if threading.get_ident() % 2 else other).services.key_set.rotate()
        return None

    done = [one for one in at_once(8, rotate) if one]
    assert len(done) == 1
    assert states(house) == ["current", "next", "retired"]


def test_of_many_first_requests_one_makes_the_keys(house: House, other: House) -> None:
    """Two processes start on an empty database."""
    rings = [house.services.key_set, other.services.key_set] * 4
    found = at_once(8, lambda: rings.pop().now().current.kid)
    assert len(set(found)) == 1
    assert states(house) == ["current", "next"]


def test_rotation_is_picked_up_elsewhere(house: House, other: House) -> None:
    """S-147: the other process signs with the new key, and takes tokens of both."""
    old = access(other)
    rotated(house)
    assert kid(access(other)) == kid(access(house)) != kid(old)
    assert works(other, old)


def test_a_withdrawn_key_is_refused_here_at_once(house: House) -> None:
    """S-147: an emergency; the token was even remembered."""
    token = access(house)
    assert works(house, token)
    house.services.key_set.withdraw(kid(token))
    assert not works(house, token)


def test_a_withdrawn_key_is_refused_elsewhere(house: House, other: House) -> None:
    """S-147: within the lag, which is none here."""
    token = access(house)
    assert works(other, token)
    house.services.key_set.withdraw(kid(token))
    assert not works(other, token)


def test_a_withdrawn_key_leaves_jwks(house: House) -> None:
    """S-030: other services refuse it too, as soon as they look."""
    token = access(house)
    house.services.key_set.withdraw(kid(token))
    assert kid(token) not in jwks(house)


def test_a_withdrawn_key_signs_nobody_out(house: House) -> None:
    """Refresh tokens have a key of their own, so clients get a token of the next key."""
    tokens = house.login("ada")
    house.services.key_set.withdraw(kid(tokens["access_token"]))
    body = {"refresh_token": tokens["refresh_token"]}
    given = house.client().post("/auth/refresh", json=body).get_json()
    assert works(house, given["access_token"])


def test_the_next_key_signs_when_the_current_one_is_withdrawn(house: House) -> None:
    """S-147: at once, for there is no time to lose; it has been published for long."""
    first, second = kids(house)
    house.services.key_set.withdraw(first)
    assert kid(access(house)) == second
    assert states(house) == ["current", "next", "withdrawn"]


def test_another_next_key_is_made_when_the_next_one_is_withdrawn(house: House) -> None:
    """The key that signs is not touched."""
    first, second = kids(house)
    house.services.key_set.withdraw(second)
    assert (kid(access(house)), states(house)) == (first, ["current", "next", "withdrawn"])


def test_a_retired_key_can_be_withdrawn(house: House) -> None:
    """Its tokens might be forged."""
    token = access(house)
    rotated(house)
    house.services.key_set.withdraw(kid(token))
    assert not works(house, token)


@pytest.mark.parametrize("twice", [True, False])
def test_only_a_key_that_is_there_is_withdrawn(house: House, twice: bool) -> None:
    """A slip of the pen must not look like a success."""
    first, _ = kids(house)
    if twice:
        house.services.key_set.withdraw(first)
    with pytest.raises(KeyUnknown):
        house.services.key_set.withdraw(first if twice else "x")


def test_steps_are_on_the_trail(house: House) -> None:
    """S-149: who rotates and withdraws leaves a trace."""
    first = rotated(house)
    house.services.key_set.withdraw(first)
    latest = house.services.audit.latest
    assert len(latest(before=None, limit=9, event="crypto_key_rotated")) == 3
    assert first in latest(before=None, limit=9, event="crypto_key_withdrawn")[0].details


def test_the_schedule_rotates_by_itself(make_house: Build, house: House) -> None:
    """S-194: by setting, inside a request, and nobody is refused."""
    planned = make_house(revocation_lag=NO_LAG, key_rotation=timedelta(days=30))
    token = access(planned)
    house.clock.forward(days=30)
    fresh = [access(planned), access(planned)][1]
    assert kid(fresh) != kid(token)
    assert works(planned, fresh)


def test_the_schedule_rests_until_it_is_due(make_house: Build, house: House) -> None:
    """One rotation a period, however many requests there are."""
    planned = make_house(revocation_lag=NO_LAG, key_rotation=timedelta(days=30))
    access(planned)
    house.clock.forward(days=30)
    access(planned)
    house.clock.forward(days=29)
    access(planned)
    assert states(planned) == ["current", "next", "retired"]


def test_the_schedule_waits_until_the_next_key_is_known(make_house: Build, house: House) -> None:
    """S-030: due or not, JWKS may be kept for a minute."""
    hasty = make_house(revocation_lag=NO_LAG, key_rotation=timedelta(seconds=30))
    token = access(hasty)
    house.clock.forward(seconds=40)
    assert [kid(access(hasty)) for _ in range(2)] == [kid(token)] * 2


def test_the_schedule_waits_for_a_key_of_another_algorithm(make_house: Build, house: House) -> None:
    """S-030: due or not, the first key of the new algorithm is published before it signs."""
    token = access(house)
    house.clock.forward(days=30)
    changed = make_house(
        revocation_lag=NO_LAG, key_rotation=timedelta(days=30), signing_alg="ES256"
    )
    assert [kid(access(changed)) for _ in range(2)] == [kid(token)] * 2
    assert states(changed) == ["current", "next", "next"]


def test_the_schedule_publishes_a_next_key_that_is_missing(make_house: Build, house: House) -> None:
    """R-29: when it is due, though the key that signs is younger than a next one may be."""
    hasty = make_house(revocation_lag=NO_LAG, key_rotation=timedelta(seconds=30))
    access(hasty)
    with house.services.database.transaction() as tx:
        tx.connection().exec_driver_sql("DELETE FROM itemsapi_signing_key WHERE state = 'next'")
    house.clock.forward(seconds=40)
    access(hasty)
    assert states(house) == ["current", "next"]


def test_a_schedule_that_cannot_be_kept_refuses_nobody(make_house: Build, house: House) -> None:
    """R-06: nothing can be written when the rotation is due; it is tried again after a while."""
    planned = make_house(revocation_lag=NO_LAG, key_rotation=timedelta(minutes=5))
    token = access(planned)
    house.clock.forward(minutes=6)
    with house.services.database.transaction() as tx:
        tx.connection().exec_driver_sql("ALTER TABLE itemsapi_audit_event RENAME TO away")
    with capture_logs() as lines:
        assert [works(planned, token) for _ in range(3)] == [True, True, True]
    told = [(one["event"], "itemsapi_audit_event" in one["reason"]) for one in lines]
    assert told == [("key_upkeep_failed", True)]


def test_the_algorithm_changes_with_an_overlap(make_house: Build, house: House) -> None:
    """S-146: the setting takes effect with the next rotation; both verify meanwhile."""
    old = access(house)
    changed = make_house(revocation_lag=NO_LAG, signing_alg="ES256")
    with suppress(RotationTooEarly):
        changed.services.key_set.rotate()
    assert decoded(access(changed), 0)["alg"] == "EdDSA"
    rotated(changed)
    assert decoded(access(changed), 0)["alg"] == "ES256"
    assert works(changed, old)


def test_two_algorithms_do_not_drive_each_other_out(make_house: Build, house: House) -> None:
    """A rolling restart: old and new processes keep a next key each, and neither is stuck."""
    changed = make_house(revocation_lag=NO_LAG, signing_alg="ES256")
    access(house)
    for one in (changed, house):
        with suppress(RotationTooEarly):
            one.services.key_set.rotate()
    assert rotated(changed)
    assert states(house) == ["current", "next", "retired", "withdrawn"]


@pytest.mark.parametrize("alg", ["EdDSA", "ES256", "RS256"])
def test_jwks_shows_public_members_only(make_house: Build, alg: str) -> None:
    """S-030: nothing that signs, `use` and `alg` set, the kid once."""
    house = make_house(signing_alg=alg)
    shown = house.client().get("/.well-known/jwks.json").get_json()["keys"]
    assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & {name for key in shown for name in key}
    assert {(key["use"], key["alg"]) for key in shown} == {("sig", alg)}


def test_a_symmetric_key_is_never_shown(make_house: Build) -> None:
    """S-030: whoever could verify could sign."""
    house = make_house(signing_alg="HS256", revocation_lag=NO_LAG)
    house.user("ada")
    assert works(house, access(house))
    assert jwks(house) == []


def test_a_key_shows_nothing_that_signs(house: House) -> None:
    """S-148: in a log or a traceback."""
    key = house.services.key_set.now().current
    assert repr(key) == f"Key({key.kid}, EdDSA)"


def test_jwks_may_be_kept_for_a_minute(house: House) -> None:
    """S-030: and no longer, for a key is published that long before it signs."""
    answer = house.client().get("/.well-known/jwks.json")
    assert answer.headers["Cache-Control"] == "public, max-age=60"
    assert timedelta(seconds=60) < PUBLISHED
