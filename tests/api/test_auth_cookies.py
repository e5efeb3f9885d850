"""Cookie delivery: the refresh token lives in a cookie that no script can read; nowhere else."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from itemsapi.rest.cookies import NAME, PLAIN_NAME
from support.app_factory import House
from support.browser_client import (
    APP,
    FAR,
    bare,
    browser,
    cookie_lines,
    parsed,
    sign_in,
    signed_in_browser,
    token_in,
    with_cookies,
)

Build = Callable[..., House]

LIFE = 90 * 24 * 3600
BESIDE = {"Path": "/", "Max-Age": str(LIFE), "HttpOnly": True}


@pytest.fixture
def dialect() -> str:
    """Cookies do not depend on the database."""
    return "sqlite"


@pytest.fixture
def ada(house: House) -> FlaskClient:
    """A browser in which ada is signed in."""
    return signed_in_browser(house, "ada")


def refreshed(client: FlaskClient, **headers: str) -> TestResponse:
    """Ask for new tokens from a page."""
    return client.post("/auth/refresh", json={}, headers=headers)


def by_cookie(house: House, *tokens: str) -> TestResponse:
    """Ask for new tokens with exactly these cookies."""
    client = browser(house, jar=False)
    return client.post("/auth/refresh", json={}, headers=with_cookies(*tokens))


def by_body(house: House, token: str) -> TestResponse:
    """Ask for new tokens as a program does."""
    return house.client().post("/auth/refresh", json={"refresh_token": token})


def alive(house: House, token: str) -> bool:
    """Tell whether the session of a refresh token, in a cookie, goes on."""
    return by_cookie(house, token).status_code == 200


def test_the_refresh_token_stays_out_of_the_body_at_login(house: House) -> None:
    """S-090: it is in the cookie and nowhere else."""
    house.user("ada")
    client = browser(house)
    answer = sign_in(client, "ada")
    assert "refresh_token" not in answer.get_json()
    assert str(token_in(client)) not in answer.get_data(as_text=True)


def test_the_refresh_token_stays_out_of_the_body_at_refresh(ada: FlaskClient) -> None:
    """S-090: a cookie session's token is never echoed into a body."""
    answer = refreshed(ada)
    assert answer.get_json().keys() == {
        "access_token", "token_type", "expires_in", "scope", "session_id",
    }  # fmt: skip
    assert str(token_in(ada)) not in answer.get_data(as_text=True)


def test_no_cookie_is_set_when_the_body_is_the_way(house: House) -> None:
    """A program never gets a cookie."""
    house.user("ada")
    answer = sign_in(house.client(), "ada")
    assert cookie_lines(answer) == []
    assert answer.get_json()["refresh_token"]


def test_the_cookie_is_strict_when_the_page_is_of_the_same_site(house: House) -> None:
    """S-090: __Host-, Secure, HttpOnly, SameSite=Strict, Path=/, no Domain."""
    house.user("ada")
    (line,) = cookie_lines(sign_in(browser(house), "ada"))
    assert parsed(line) == (NAME, BESIDE | {"Secure": True, "SameSite": "Strict"})
    assert NAME.startswith("__Host-Http-")


def test_the_cookie_is_partitioned_when_the_page_is_of_another_site(make_house: Build) -> None:
    """By setting, per origin: the only kind that lives where third-party cookies are blocked."""
    house = make_house(allowed_origins=(APP, FAR), cross_site_origins=(FAR,))
    house.user("ada")
    (line,) = cookie_lines(sign_in(browser(house, origin=FAR, site="cross-site"), "ada"))
    far = {"Secure": True, "SameSite": "None", "Partitioned": True}
    assert parsed(line) == (NAME, BESIDE | far)


def test_the_cookie_is_strict_when_another_origin_is_the_cross_site_one(make_house: Build) -> None:
    """The setting is per origin."""
    house = make_house(allowed_origins=(APP, FAR), cross_site_origins=(FAR,))
    house.user("ada")
    (line,) = cookie_lines(sign_in(browser(house, origin=APP, site="same-site"), "ada"))
    assert parsed(line)[1]["SameSite"] == "Strict"


def test_the_cookie_is_plain_when_the_loopback_setting_is_on(make_house: Build) -> None:
    """Safari takes no Secure cookie on http://localhost; the prefix would demand one."""
    house = make_house(insecure_cookies=True)
    house.user("ada")
    (line,) = cookie_lines(sign_in(browser(house), "ada"))
    assert parsed(line) == (PLAIN_NAME, BESIDE | {"SameSite": "Strict"})


def test_the_plain_cookie_refreshes_when_the_loopback_setting_is_on(make_house: Build) -> None:
    """It is read under the name it was set with."""
    house = make_house(insecure_cookies=True)
    assert refreshed(signed_in_browser(house, "ada")).status_code == 200


def test_the_cookie_lives_for_the_rest_of_the_session_when_it_is_refreshed(
    house: House, ada: FlaskClient
) -> None:
    """S-064: Max-Age shrinks, for a refresh extends no absolute life."""
    house.clock.forward(days=10)
    (line,) = cookie_lines(refreshed(ada))
    assert parsed(line)[1]["Max-Age"] == str(LIFE - 10 * 24 * 3600)


def test_the_loser_of_a_race_gets_an_access_token_and_no_cookie(
    house: House, ada: FlaskClient
) -> None:
    """S-062: whichever answer comes last, the browser holds the winner's token."""
    token = str(token_in(ada))
    first, second = by_cookie(house, token), by_cookie(house, token)
    assert [len(cookie_lines(answer)) for answer in (first, second)] == [1, 0]
    assert second.get_json().keys() == first.get_json().keys()


def test_the_same_attempt_is_set_the_same_cookie_again(house: House, ada: FlaskClient) -> None:
    """S-062: its first answer was lost."""
    headers = with_cookies(str(token_in(ada))) | {"Idempotency-Key": "attempt-0123456789abcdef"}
    client = browser(house, jar=False)
    first, second = (client.post("/auth/refresh", json={}, headers=headers) for _ in range(2))
    assert cookie_lines(first) == cookie_lines(second) != []


def test_a_late_replay_sets_no_cookie(house: House, ada: FlaskClient) -> None:
    """A replay never clears what a newer answer has set."""
    old = str(token_in(ada))
    refreshed(ada)
    refreshed(ada)
    house.clock.forward(seconds=21)
    answer = by_cookie(house, old)
    assert answer.get_json()["code"] == "refresh_reused"
    assert cookie_lines(answer) == []


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c", "x" * 5000])
def test_a_refused_refresh_sets_no_cookie(house: House, token: str) -> None:
    """Whatever is wrong with the cookie, it is left to the next sign-in."""
    answer = by_cookie(house, token)
    assert (answer.status_code, cookie_lines(answer)) == (401, [])


def test_a_refused_scope_sets_no_cookie_and_ends_nothing(house: House, ada: FlaskClient) -> None:
    """S-065: the token was not used up."""
    answer = ada.post("/auth/refresh", json={"scope": "users:write"})
    assert (answer.status_code, cookie_lines(answer)) == (400, [])
    assert alive(house, str(token_in(ada)))


def test_a_session_past_its_life_sets_no_cookie(house: House, ada: FlaskClient) -> None:
    """The browser forgets it by itself; a deletion could hit a newer one."""
    house.clock.forward(days=15)
    answer = refreshed(ada)
    assert (answer.status_code, cookie_lines(answer)) == (401, [])


def test_a_cookie_sessions_token_is_refused_in_a_body(house: House, ada: FlaskClient) -> None:
    """The way belongs to the session; being refused does not end it."""
    token = str(token_in(ada))
    assert by_body(house, token).get_json()["code"] == "invalid_refresh_token"
    assert alive(house, token)


def test_a_body_sessions_token_is_refused_in_a_cookie(house: House) -> None:
    """The other way round."""
    house.user("ada")
    token = house.login("ada")["refresh_token"]
    assert by_cookie(house, token).get_json()["code"] == "invalid_refresh_token"
    assert by_body(house, token).status_code == 200


def test_a_token_in_the_body_is_refused_when_the_cookie_is_the_way(
    house: House, ada: FlaskClient
) -> None:
    """Even beside a good cookie: two credentials are one too many."""
    answer = ada.post("/auth/refresh", json={"refresh_token": token_in(ada)})
    assert (answer.status_code, cookie_lines(answer)) == (401, [])
    assert alive(house, str(token_in(ada)))


def test_a_cookie_is_overlooked_when_the_body_is_the_way(house: House, ada: FlaskClient) -> None:
    """Without the header the cookie is nobody's: 401, as if nothing had come."""
    headers = with_cookies(str(token_in(ada)))
    answer = bare(house).post("/auth/refresh", json={}, headers=headers)
    assert answer.get_json()["code"] == "token_missing"


def test_a_cookie_sessions_token_ends_nothing_in_a_logout_body(
    house: House, ada: FlaskClient
) -> None:
    """Logout is idempotent, so the answer tells nothing either."""
    token = str(token_in(ada))
    answer = house.client().post("/auth/logout", json={"refresh_token": token})
    assert answer.status_code == 204
    assert alive(house, token)


def test_the_delivery_is_one_of_two_words(house: House) -> None:
    """A slip of the pen must not fall back to a token in the body."""
    house.user("ada")
    answer = sign_in(house.client(), "ada", **{"X-Auth-Delivery": "cookies"})
    assert answer.get_json()["code"] == "bad_request"


def test_logout_clears_the_cookie_and_ends_the_session(house: House, ada: FlaskClient) -> None:
    """S-066: the token is no good afterwards, wherever it was copied to."""
    token = str(token_in(ada))
    assert ada.post("/auth/logout", json={}).status_code == 204
    assert (token_in(ada), alive(house, token)) == (None, False)


def test_logout_clears_the_cookie_as_it_was_set(make_house: Build) -> None:
    """A partitioned cookie is removed by a partitioned one only."""
    house = make_house(allowed_origins=(FAR,), cross_site_origins=(FAR,))
    client = signed_in_browser(house, "ada", origin=FAR, site="cross-site")
    (line,) = cookie_lines(client.post("/auth/logout", json={}))
    assert parsed(line)[1]["Max-Age"] == "0"
    assert parsed(line)[1]["Partitioned"]


def test_logout_without_anything_is_refused_and_clears_nothing(house: House) -> None:
    """There is nothing to sign out of."""
    answer = browser(house).post("/auth/logout", json={})
    assert (answer.get_json()["code"], cookie_lines(answer)) == ("token_missing", [])


def test_logout_with_an_old_access_token_is_no_error(house: House, ada: FlaskClient) -> None:
    """Doing it twice is none, so the page can always forget."""
    access = refreshed(ada).get_json()["access_token"]
    house.clock.forward(hours=2)
    ada.delete_cookie(NAME, domain="localhost")
    answer = ada.post("/auth/logout", json={}, headers={"Authorization": f"Bearer {access}"})
    assert answer.status_code == 204


def test_login_ends_the_session_that_the_browser_had(house: House, ada: FlaskClient) -> None:
    """S-069: signing in again leaves no session behind that nobody can see."""
    before = str(token_in(ada))
    assert sign_in(ada, "ada").status_code == 200
    assert not alive(house, before)


def test_login_of_somebody_else_ends_the_session_too(house: House, ada: FlaskClient) -> None:
    """S-069: a shared computer does not stay signed in as two people."""
    before = str(token_in(ada))
    house.user("bob")
    assert sign_in(ada, "bob").status_code == 200
    assert not alive(house, before)


def test_a_failed_login_leaves_the_session_alone(house: House, ada: FlaskClient) -> None:
    """A slip of the pen must not sign anybody out."""
    answer = ada.post("/auth/login", json={"username": "ada", "password": "wrong"})
    assert (answer.status_code, cookie_lines(answer)) == (401, [])
    assert alive(house, str(token_in(ada)))


def test_login_in_a_program_ends_no_session_of_the_browser(house: House, ada: FlaskClient) -> None:
    """Only what was shown ends."""
    house.login("ada")
    assert alive(house, str(token_in(ada)))


def two(house: House, ada: FlaskClient) -> tuple[str, str]:
    """Return the tokens of two cookie sessions, as a browser with both kinds of cookie has them."""
    other = browser(house)
    sign_in(other, "ada")
    return str(token_in(ada)), str(token_in(other))


def test_two_cookies_refresh_nothing(house: House, ada: FlaskClient) -> None:
    """Which one is meant, nobody can tell; neither is used up."""
    both = two(house, ada)
    answer = by_cookie(house, *both)
    assert (answer.status_code, cookie_lines(answer)) == (401, [])
    assert [alive(house, one) for one in both] == [True, True]


def test_two_cookies_hinder_no_login(house: House, ada: FlaskClient) -> None:
    """A browser with both kinds of cookie could never get in again; a sign-in puts it right."""
    both = two(house, ada)
    answer = sign_in(browser(house, jar=False), "ada", **with_cookies(*both))
    assert answer.status_code == 200
    assert [alive(house, one) for one in both] == [False, False]


def test_two_cookies_are_both_replaced_at_login(house: House, ada: FlaskClient) -> None:
    """The other kind is removed first, so that where they are one, the new one stays."""
    answer = sign_in(browser(house, jar=False), "ada", **with_cookies(*two(house, ada)))
    first, second = (parsed(line)[1] for line in cookie_lines(answer))
    assert (first["Max-Age"], first["SameSite"]) == ("0", "None")
    assert (second["Max-Age"], second["SameSite"]) == (str(LIFE), "Strict")


def test_two_cookies_are_both_cleared_at_logout(house: House, ada: FlaskClient) -> None:
    """And both sessions end."""
    both = two(house, ada)
    client = browser(house, jar=False)
    answer = client.post("/auth/logout", json={}, headers=with_cookies(*both))
    assert [parsed(line)[1]["Max-Age"] for line in cookie_lines(answer)] == ["0", "0"]
    assert [alive(house, one) for one in both] == [False, False]


@pytest.mark.parametrize("path", ["/auth/login", "/auth/refresh", "/auth/logout", "/oauth/token"])
def test_answers_with_tokens_are_kept_nowhere(house: House, path: str) -> None:
    """S-070: errors too (RFC 6749 section 5.1)."""
    answer = house.client().post(path, json={})
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Pragma"] == "no-cache"


def test_a_session_that_is_gone_hinders_no_logout(make_house: Build) -> None:
    """The access token outlives the row by a moment: still 204, for nothing is left to end."""
    house = make_house(revocation_lag=timedelta(seconds=5))
    client = house.signed_in("ada")
    with house.services.database.transaction() as tx:
        tx.connection().exec_driver_sql("DELETE FROM itemsapi_session")
    assert client.post("/auth/logout", json={}).status_code == 204
