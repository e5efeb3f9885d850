"""Refresh tokens turn over; copies end the session."""

from typing import Any

import pytest

from house import House


@pytest.fixture
def tokens(house: House) -> dict[str, Any]:
    """The tokens of a user who just signed in."""
    house.user("ada", "member")
    return house.login("ada")


def refresh(house: House, token: str, **more: Any) -> Any:
    """Present a refresh token."""
    return house.client().post("/auth/refresh", json={"refresh_token": token} | more)


def test_racing_callers_get_the_same_successor(house: House, tokens: dict[str, Any]) -> None:
    """The direct predecessor is handed the same bytes within the window (S-062)."""
    first = refresh(house, tokens["refresh_token"])
    second = refresh(house, tokens["refresh_token"])
    assert first.json["refresh_token"] == second.json["refresh_token"]


def test_the_session_ends_when_an_older_generation_comes_back(
    house: House, tokens: dict[str, Any]
) -> None:
    """Reuse ends the session, the newest token with it (S-061)."""
    second = refresh(house, tokens["refresh_token"]).json["refresh_token"]
    third = refresh(house, second).json["refresh_token"]
    assert refresh(house, tokens["refresh_token"]).json["code"] == "refresh_reused"
    assert refresh(house, third).status_code == 401


def test_a_lost_answer_heals_hours_later(house: House, tokens: dict[str, Any]) -> None:
    """Nobody has seen the successor, so the predecessor is handed it again."""
    first = refresh(house, tokens["refresh_token"])
    house.clock.forward(hours=5)
    second = refresh(house, tokens["refresh_token"])
    assert first.json["refresh_token"] == second.json["refresh_token"]


def test_a_replay_ends_the_session_once_the_successor_was_used(
    house: House, tokens: dict[str, Any]
) -> None:
    """An access token of the new generation confirms it; the window is over (S-061)."""
    successor = refresh(house, tokens["refresh_token"]).json
    house.bearer(successor["access_token"]).post("/auth/logout", json={"x": 1})
    house.clock.forward(seconds=11)
    assert refresh(house, tokens["refresh_token"]).json["code"] == "refresh_reused"
