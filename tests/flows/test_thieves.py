"""A thief with a copied refresh token: quiet, loud, polling, or reading the session list (S-073).

Whatever the thief does, thief and victim never go on side by side: the second of the two to refresh
after it ends the session, or holds nothing that works.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from itemsapi.accounts.permissions import COMMAND_LINE
from itemsapi.tokens.sessions import mark_generation_seen
from support.app_factory import Backend
from support.forged_tokens import decode_part
from support.refresh_endpoints import BodyEndpoint, CookieEndpoint, RefreshEndpoint, RefreshResult
from support.tokens import event_details, is_accepted, look

Build = Callable[..., Backend]
WINDOW = 20
AFTER = [WINDOW + 1, 3600]


class Scene:
    """A session in a service of two processes, and two who hold its refresh token."""

    def __init__(self, here: Backend, there: Backend, door: RefreshEndpoint, first: str) -> None:
        """Begin with a copy that was just made."""
        self.here, self.there, self.door, self.first = here, there, door, first

    def shows(self, token: str | None) -> RefreshResult:
        """Present a refresh token to one of the two processes."""
        assert token
        return self.door.refresh(self.here, token)

    def uses(self, access_token: str) -> bool:
        """Tell whether an access token is let in; both processes agree."""
        answers = {is_accepted(backend, access_token) for backend in (self.here, self.there)}
        assert len(answers) == 1
        return answers.pop()

    def passes(self, **step: float) -> None:
        """Let time pass; both processes have one clock."""
        self.here.clock.advance(**step)

    def reuses(self) -> int:
        """Count the events that tell of a copied token."""
        return len(event_details(self.here, "token_reuse"))


@pytest.fixture(params=[BodyEndpoint(), CookieEndpoint()], ids=lambda door: str(door.name))
def scene(request: pytest.FixtureRequest, make_backend: Build) -> Scene:
    """Both ways of delivery."""
    here, there = (make_backend(look, revocation_lag=timedelta(0)) for _ in range(2))
    here.create_user("ada", "member")
    return Scene(here, there, request.param, request.param.sign_in(here, "ada"))


@pytest.mark.parametrize("late", AFTER)
def test_the_victim_goes_on_when_a_quiet_thief_was_first(scene: Scene, late: int) -> None:
    """S-073: the thief refreshed and used nothing; the victim is healed and works."""
    scene.shows(scene.first)
    scene.passes(seconds=late)
    healed = scene.shows(scene.first)
    assert scene.uses(healed.access_token)
    scene.passes(minutes=10)
    assert scene.uses(scene.shows(healed.refresh_token).access_token)


@pytest.mark.parametrize("late", AFTER)
def test_the_quiet_thiefs_access_token_dies_with_the_healing(scene: Scene, late: int) -> None:
    """S-073: in every process."""
    stolen = scene.shows(scene.first)
    scene.passes(seconds=late)
    scene.shows(scene.first)
    assert not scene.uses(stolen.access_token)


def test_the_quiet_thiefs_refresh_token_ends_the_session(scene: Scene) -> None:
    """S-073: after the window, with an event; within it, it brings nothing."""
    stolen = scene.shows(scene.first)
    scene.passes(hours=1)
    healed = scene.shows(scene.first)
    assert scene.shows(stolen.refresh_token).status == 503
    scene.passes(seconds=WINDOW + 1)
    assert scene.shows(stolen.refresh_token).code == "refresh_reused"
    assert (scene.uses(healed.access_token), scene.reuses()) == (False, 1)


def test_a_loud_thief_is_found_out_by_the_victims_next_refresh(scene: Scene) -> None:
    """S-061: both lose the session; the victim signs in again and knows."""
    stolen = scene.shows(scene.first)
    assert scene.uses(stolen.access_token)
    scene.passes(minutes=10)
    assert scene.shows(scene.first).code == "refresh_reused"
    assert not scene.uses(stolen.access_token)


def test_a_thief_that_comes_late_is_found_out(scene: Scene) -> None:
    """S-061: the victim was first and works."""
    assert scene.uses(scene.shows(scene.first).access_token)
    scene.passes(minutes=5)
    assert scene.shows(scene.first).code == "refresh_reused"


def test_a_thief_that_heals_ends_what_the_victim_has(scene: Scene) -> None:
    """S-073: the other way round: the victim had refreshed and used nothing."""
    victims = scene.shows(scene.first)
    scene.passes(hours=1)
    stolen = scene.shows(scene.first)
    assert not scene.uses(victims.access_token)
    scene.passes(hours=1)
    assert scene.shows(victims.refresh_token).code == "refresh_reused"
    assert scene.shows(stolen.refresh_token).code == "invalid_refresh_token"


def test_a_thief_in_every_window_gets_one_access_token_and_is_found_out(scene: Scene) -> None:
    """S-073: it shows all that it has right after each of the victim's refreshes, and no later."""
    loot, stolen, cycles = [scene.first], [], 0
    victims = scene.shows(scene.first)
    while victims.status == 200 and cycles < 10:
        cycles += 1
        assert scene.uses(victims.access_token)
        answers = [scene.shows(one) for one in loot]
        loot += [answer.refresh_token for answer in answers if answer.refresh_token]
        stolen += [answer.access_token for answer in answers if answer.access_token]
        scene.passes(minutes=9)
        victims = scene.shows(victims.refresh_token)
    assert (len(loot), len(stolen), scene.reuses()) == (1, 1, 1)
    assert cycles <= 4
    assert not scene.uses(stolen[0])


def test_that_access_token_dies_with_its_session(scene: Scene) -> None:
    """S-073: ten minutes at most, and none after a sign-out."""
    tokens, stolen = scene.shows(scene.first), scene.shows(scene.first)
    assert scene.uses(stolen.access_token)
    scene.here.services.users.end_sessions(
        COMMAND_LINE, scene.here.services.users.get_by_name("ada").id
    )
    found = [scene.uses(one.access_token) for one in (tokens, stolen)]
    assert found == [False, False]


@pytest.mark.parametrize("thief_uses", [False, True], ids=["quiet", "loud"])
def test_nobody_keeps_in_step_for_ten_cycles(scene: Scene, thief_uses: bool) -> None:
    """S-073: a thief who shows everything it ever got before each of the victim's refreshes."""
    loot, victims, both = [scene.first], scene.first, 0
    for _ in range(10):
        stolen = [answer for token in reversed(loot) if (answer := scene.shows(token)).access_token]
        loot += [one.refresh_token for one in stolen if one.refresh_token]
        works = [scene.uses(one.access_token) for one in stolen] if thief_uses else []
        scene.passes(minutes=9)
        answer = scene.shows(victims)
        victims = answer.refresh_token or victims
        both += answer.status == 200 and any(works) and scene.uses(answer.access_token)
        scene.passes(minutes=1)
    assert both == 0
    assert scene.reuses() == 1


def test_the_session_list_does_not_tell_when_a_session_was_refreshed(scene: Scene) -> None:
    """S-073: within five minutes neither the times nor their order change."""
    scene.passes(seconds=1800 - scene.here.clock().timestamp() % 300)
    second = scene.shows(scene.first).refresh_token
    reader = scene.here.login("ada")["access_token"]
    before = listed(scene.here, reader)
    scene.passes(seconds=299)
    scene.shows(second)
    assert listed(scene.here, reader) == before


def test_the_session_list_tells_the_time_in_steps_of_five_minutes(scene: Scene) -> None:
    """S-073: rounded down, and no earlier than the sign-in."""
    scene.passes(minutes=9)
    scene.shows(scene.first)
    scene.passes(minutes=5)
    reader = scene.here.login("ada")["access_token"]
    used = {one["current"]: one for one in listed(scene.here, reader)}
    assert datetime.fromisoformat(used[False]["last_used_at"]).timestamp() % 300 == 0
    assert used[True]["last_used_at"] == used[True]["created_at"]


def test_polling_the_session_list_does_not_tell_the_moment_of_a_refresh(scene: Scene) -> None:
    """S-073: what is listed changes when the clock has gone on to the next five minutes."""
    scene.passes(seconds=1800 - scene.here.clock().timestamp() % 300)
    reader, token, seen = scene.here.login("ada")["access_token"], scene.first, []
    for poll in range(54):
        seen.append([one["last_used_at"] for one in listed(scene.here, reader)])
        if poll in {12, 20, 33, 41}:
            token = str(scene.shows(token).refresh_token)
        scene.passes(seconds=10)
    changes = [poll * 10 for poll in range(1, 54) if seen[poll] != seen[poll - 1]]
    assert changes == [300]


@pytest.mark.parametrize("attempts", [False, True], ids=["no ids", "attempt ids"])
def test_a_thief_who_heals_in_every_window_does_not_live_beside_the_victim(
    scene: Scene, attempts: bool
) -> None:
    """S-073: found by attack: it held the window open, and both lived on its access tokens."""
    copy, worked, mine = scene.first, [], 0
    for turn in range(240):
        stolen = [scene.shows(copy).access_token for _ in range(2)]
        worked.append(any(token and scene.uses(token) for token in reversed(stolen)))
        if turn % 30 == 15:
            attempt = f"attempt-{turn:020}" if attempts else ""
            answer = scene.door.refresh(scene.here, scene.first, attempt)
            mine += answer.status == 200
        scene.passes(seconds=20.01)
    assert (mine, sum(worked) < 35, scene.reuses()) == (0, True, 1)


def test_a_thief_who_works_while_the_victim_is_away_is_found_out_on_return(scene: Scene) -> None:
    """S-073: found by attack: three days of healing, and of access tokens of the root."""
    worked = 0
    for _ in range(50):
        tokens = [scene.shows(scene.first).access_token for _ in range(2)]
        worked += any(token and scene.uses(token) for token in reversed(tokens))
        scene.passes(minutes=10)
    assert worked <= 2
    assert scene.shows(scene.first).status == 401
    assert scene.reuses() == 1


@pytest.mark.parametrize("pause", [5, 19, 20])
def test_a_thief_who_rotates_in_every_window_does_not_keep_the_victim_waiting(
    scene: Scene, pause: int
) -> None:
    """S-061: found by attack: it worked for hours, while the victim was told to try again."""
    stolen, seconds, status = scene.shows(scene.first), 0, 0
    while status != 401 and seconds <= 5 * WINDOW:
        assert scene.uses(stolen.access_token)
        scene.passes(seconds=pause)
        seconds += pause
        stolen = scene.shows(stolen.refresh_token)
        status = scene.shows(scene.first).status
    assert status == 401
    assert not scene.uses(stolen.access_token)


def test_a_superseded_access_token_that_is_used_tells_of_a_copy(scene: Scene) -> None:
    """S-073: it is good for a moment in other processes; whoever healed is not who uses it."""
    stolen = scene.shows(scene.first)
    scene.passes(hours=1)
    scene.shows(scene.first)
    mark_generation_seen(
        scene.here.services.database, str(decode_part(stolen.access_token, 1)["sid"]), 2
    )
    scene.passes(hours=1)
    assert scene.shows(scene.first).code == "refresh_reused"


def listed(backend: Backend, access_token: str) -> list[dict[str, Any]]:
    """Return the list of sessions."""
    answer = backend.bearer_client(access_token).get("/auth/sessions").get_json()
    found: list[dict[str, Any]] = answer["items"]
    return found
