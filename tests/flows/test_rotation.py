"""Refresh tokens turn over: one successor, a short window, healing, and an end for copies."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from house import House
from renewal import code, events, lets_in, look, refresh, renewed

Build = Callable[..., House]


@pytest.fixture
def build(make_house: Build) -> Build:
    """Build an application with a page to look at, and ada."""

    def make(**changes: Any) -> House:
        house = make_house(look, **changes)
        house.user("ada", "member")
        return house

    return make


@pytest.fixture
def house(build: Build) -> House:
    """An application as it comes."""
    return build()


@pytest.fixture
def unhealing(build: Build) -> House:
    """An application that forgives within the window alone."""
    return build(refresh_heal=False)


def test_the_window_is_counted_from_the_first_rotation_when_it_is_hit_again(
    unhealing: House,
) -> None:
    """S-062: a hit in the window does not extend it."""
    first = unhealing.login("ada")["refresh_token"]
    for step in (0, 6):
        unhealing.clock.forward(seconds=step)
        renewed(unhealing, first)
    unhealing.clock.forward(seconds=5)
    assert code(refresh(unhealing, first)) == "refresh_reused"


def test_the_predecessor_is_good_in_the_last_moment_of_the_window(unhealing: House) -> None:
    """S-062: ten seconds are ten seconds."""
    first = unhealing.login("ada")["refresh_token"]
    successor = renewed(unhealing, first)["refresh_token"]
    unhealing.clock.forward(seconds=10)
    assert renewed(unhealing, first)["refresh_token"] == successor


def test_the_window_stands_open_when_the_clock_is_set_back_a_little(unhealing: House) -> None:
    """R-10: a clock corrected by two seconds between two tabs logs nobody out."""
    first = unhealing.login("ada")["refresh_token"]
    successor = renewed(unhealing, first)["refresh_token"]
    unhealing.clock.forward(seconds=-2)
    assert renewed(unhealing, first)["refresh_token"] == successor


def test_the_grandparent_has_no_window_however_fresh_it_is(house: House) -> None:
    """S-062: only the direct predecessor is forgiven."""
    first = house.login("ada")["refresh_token"]
    third = renewed(house, renewed(house, first)["refresh_token"])
    assert code(refresh(house, first)) == "refresh_reused"
    assert not lets_in(house, third["access_token"])


@pytest.mark.parametrize("replayed", range(4))
def test_the_session_ends_when_any_older_link_of_the_chain_comes_back(
    house: House, replayed: int
) -> None:
    """S-061: a chain of five rotations, each link but the last two."""
    chain = [house.login("ada")["refresh_token"]]
    for _ in range(5):
        chain.append(renewed(house, chain[-1])["refresh_token"])
    assert code(refresh(house, chain[replayed])) == "refresh_reused"
    assert code(refresh(house, chain[-1])) == "invalid_refresh_token"


def test_a_token_is_good_once_when_window_and_healing_are_off(build: Build) -> None:
    """S-062: REFRESH_GRACE=0 and REFRESH_HEAL=off are single use, to the letter."""
    house = build(refresh_heal=False, refresh_grace=timedelta(0))
    first = house.login("ada")["refresh_token"]
    successor = renewed(house, first)["refresh_token"]
    assert code(refresh(house, first)) == "refresh_reused"
    assert code(refresh(house, successor)) == "invalid_refresh_token"


def test_a_lost_answer_does_not_heal_when_healing_is_off(unhealing: House) -> None:
    """REFRESH_HEAL=off leaves the window alone."""
    first = unhealing.login("ada")["refresh_token"]
    renewed(unhealing, first)
    unhealing.clock.forward(hours=1)
    assert code(refresh(unhealing, first)) == "refresh_reused"


def test_a_lost_answer_heals_when_the_window_is_off(build: Build) -> None:
    """REFRESH_GRACE=0 leaves the healing alone: nobody has seen the successor."""
    house = build(refresh_grace=timedelta(0))
    first = house.login("ada")["refresh_token"]
    successor = renewed(house, first)["refresh_token"]
    house.clock.forward(hours=1)
    assert renewed(house, first)["refresh_token"] == successor


def test_healing_ends_when_the_successor_was_turned_over(house: House) -> None:
    """S-061: the refresh token of the new generation was seen."""
    first = house.login("ada")["refresh_token"]
    renewed(house, renewed(house, first)["refresh_token"])
    house.clock.forward(seconds=11)
    assert code(refresh(house, first)) == "refresh_reused"


def test_healing_ends_when_an_access_token_of_the_successor_was_seen(house: House) -> None:
    """S-061: as soon as one side uses the successor, the other's replay ends the session."""
    first = house.login("ada")["refresh_token"]
    assert lets_in(house, renewed(house, first)["access_token"])
    house.clock.forward(seconds=11)
    assert code(refresh(house, first)) == "refresh_reused"


def test_healing_goes_on_when_only_an_older_access_token_is_used(house: House) -> None:
    """The access token of the generation before says nothing about the successor."""
    before = renewed(house, house.login("ada")["refresh_token"])
    renewed(house, before["refresh_token"])
    assert lets_in(house, before["access_token"])
    house.clock.forward(minutes=5)
    assert renewed(house, before["refresh_token"])


def test_healing_ends_with_the_idle_limit(house: House) -> None:
    """Unseen successors do not make a session immortal."""
    first = house.login("ada")["refresh_token"]
    renewed(house, first)
    house.clock.forward(days=14)
    assert code(refresh(house, first)) == "invalid_refresh_token"


def test_the_end_holds_in_another_process_when_a_replay_was_refused(
    house: House, make_house: Build
) -> None:
    """S-068: the refusal is raised after the end was committed."""
    first = house.login("ada")["refresh_token"]
    third = renewed(house, renewed(house, first)["refresh_token"])
    refresh(house, first)
    other = make_house(look)
    assert code(refresh(other, third["refresh_token"])) == "invalid_refresh_token"
    assert not lets_in(other, third["access_token"])


@pytest.mark.parametrize(
    ("late", "used", "event", "cause"),
    [
        (0, False, "token_refresh_grace", "grace"),
        (3600, False, "token_refresh_healed", "healed"),
        (11, True, "token_reuse", "predecessor late"),
    ],
)
def test_a_replay_is_told_with_its_cause_when_it_is_the_predecessor(
    house: House, late: int, used: bool, event: str, cause: str
) -> None:
    """S-062, S-149: in the window, late and unseen, late and seen."""
    first = house.login("ada")["refresh_token"]
    successor = renewed(house, first)
    if used:
        lets_in(house, successor["access_token"])
    house.clock.forward(seconds=late)
    refresh(house, first)
    assert [(one["cause"], one["gen"]) for one in events(house, event)] == [(cause, 1)]


def test_a_replay_is_told_with_its_cause_when_it_is_older(house: House) -> None:
    """S-061, S-149: an older generation is a copy, whatever the time."""
    first = house.login("ada")["refresh_token"]
    renewed(house, renewed(house, first)["refresh_token"])
    refresh(house, first)
    assert [one["cause"] for one in events(house, "token_reuse")] == ["older generation"]


def test_nothing_is_told_when_a_token_just_turns_over(house: House) -> None:
    """An alarm that rings at every refresh is none."""
    renewed(house, renewed(house, house.login("ada")["refresh_token"])["refresh_token"])
    told = ("token_refresh_grace", "token_refresh_healed", "token_reuse")
    assert [events(house, name) for name in told] == [[], [], []]


def test_less_scope_is_given_to_the_access_token_alone(house: House) -> None:
    """S-065, RFC 6749 section 6: the refresh token keeps what it had."""
    first = house.login("ada")
    narrow = renewed(house, first["refresh_token"], scope="items:read")
    again = renewed(house, narrow["refresh_token"])
    assert (narrow["scope"], again["scope"]) == ("items:read", "items:read items:write")


@pytest.mark.parametrize("wanted", ["users:write", "items:read users:write", "nothing:known"])
def test_more_scope_is_refused_and_turns_nothing_over(house: House, wanted: str) -> None:
    """S-065: a refused wish leaves the token as good as it was."""
    first = house.login("ada")["refresh_token"]
    assert code(refresh(house, first, scope=wanted)) == "invalid_scope"
    assert renewed(house, first)


def test_a_scope_given_up_at_sign_in_does_not_come_back(house: House) -> None:
    """S-065: what was not asked for then cannot be had later."""
    first = house.login("ada", scope="items:read")["refresh_token"]
    assert code(refresh(house, first, scope="items:write")) == "invalid_scope"
    assert renewed(house, first)["scope"] == "items:read"


def test_refresh_tokens_are_all_different(house: House) -> None:
    """S-060: ten thousand generations, no token twice; each carries 256 bits of MAC."""
    codec, now = house.services.codec, house.clock()
    with house.app.app_context():
        made = {
            codec.refresh_token(sub="ada", sid=f"s{n % 100}", gen=n // 100 + 1, made=now, ends=now)
            for n in range(10_000)
        }
    assert len({token.split(".")[2] for token in made}) == 10_000


def test_a_refresh_token_is_refused_when_its_generation_was_changed(house: House) -> None:
    """S-060: nobody but the issuer can make the next one."""
    session = house.login("ada")
    with house.app.app_context():
        now = house.clock()
        words = {"sub": "ada", "sid": session["session_id"], "made": now, "ends": now}
        later = house.services.codec.refresh_token(gen=2, **words)
    forged = ".".join([*later.split(".")[:2], session["refresh_token"].split(".")[2]])
    assert code(refresh(house, forged)) == "invalid_refresh_token"


def test_the_session_ends_when_a_generation_comes_that_was_never_made(house: House) -> None:
    """R-27, R-28: rows were lost or a backup was restored; two families must not live on."""
    first = house.login("ada")
    second = renewed(house, first["refresh_token"])
    with house.services.database.transaction() as tx:
        tx.connection().exec_driver_sql("UPDATE auth_session SET gen = 1")
    assert code(refresh(house, second["refresh_token"])) == "refresh_reused"
    assert [one["cause"] for one in events(house, "token_reuse")] == ["generation never issued"]


def test_who_shows_a_new_token_is_answered_when_that_cannot_be_noted(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    """The note is off the answer's path; the next process that sees the token makes it."""
    access = renewed(house, house.login("ada")["refresh_token"])["access_token"]
    with house.services.database.transaction() as tx:
        tx.connection().exec_driver_sql("ALTER TABLE auth_session RENAME TO elsewhere")
    assert lets_in(house, access)
    assert "generation_not_confirmed" in capsys.readouterr().err
    with house.services.database.transaction() as tx:
        tx.connection().exec_driver_sql("ALTER TABLE elsewhere RENAME TO auth_session")
