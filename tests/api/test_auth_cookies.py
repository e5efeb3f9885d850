"""Cookie delivery: the refresh token lives in a cookie that no script can read; nowhere else."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from itemsapi.rest.cookies import NAME, PLAIN_NAME
from support.app_factory import Backend
from support.browser_client import (
    APP_ORIGIN,
    FAR_ORIGIN,
    cookie_header,
    cookieless_client,
    make_browser,
    parse_set_cookie,
    refresh_cookie,
    set_cookie_lines,
    sign_in,
    signed_in_browser,
)

Build = Callable[..., Backend]

LIFE = 90 * 24 * 3600
BESIDE = {"Path": "/", "Max-Age": str(LIFE), "HttpOnly": True}


@pytest.fixture
def dialect() -> str:
    """Cookies do not depend on the database."""
    return "sqlite"


@pytest.fixture
def ada(backend: Backend) -> FlaskClient:
    """A browser in which ada is signed in."""
    return signed_in_browser(backend, "ada")


def refreshed(client: FlaskClient, **headers: str) -> TestResponse:
    """Ask for new tokens from a page."""
    return client.post("/auth/refresh", json={}, headers=headers)


def by_cookie(backend: Backend, *tokens: str) -> TestResponse:
    """Ask for new tokens with exactly these cookies."""
    client = make_browser(backend, jar=False)
    return client.post("/auth/refresh", json={}, headers=cookie_header(*tokens))


def by_body(backend: Backend, token: str) -> TestResponse:
    """Ask for new tokens as a program does."""
    return backend.client().post("/auth/refresh", json={"refresh_token": token})


def alive(backend: Backend, token: str) -> bool:
    """Tell whether the session of a refresh token, in a cookie, goes on."""
    return by_cookie(backend, token).status_code == 200


def test_the_refresh_token_stays_out_of_the_body_at_login(backend: Backend) -> None:
    """S-090: it is in the cookie and nowhere else."""
    backend.create_user("ada")
    client = make_browser(backend)
    answer = sign_in(client, "ada")
    assert "refresh_token" not in answer.get_json()
    assert str(refresh_cookie(client)) not in answer.get_data(as_text=True)


def test_the_refresh_token_stays_out_of_the_body_at_refresh(ada: FlaskClient) -> None:
    """S-090: a cookie session's token is never echoed into a body."""
    answer = refreshed(ada)
    assert answer.get_json().keys() == {
        "access_token", "token_type", "expires_in", "scope", "session_id",
    }  # fmt: skip
    assert str(refresh_cookie(ada)) not in answer.get_data(as_text=True)


def test_no_cookie_is_set_when_the_body_is_the_way(backend: Backend) -> None:
    """A program never gets a cookie."""
    backend.create_user("ada")
    answer = sign_in(backend.client(), "ada")
    assert set_cookie_lines(answer) == []
    assert answer.get_json()["refresh_token"]


def test_the_cookie_is_strict_when_the_page_is_of_the_same_site(backend: Backend) -> None:
    """S-090: __Host-, Secure, HttpOnly, SameSite=Strict, Path=/, no Domain."""
    backend.create_user("ada")
    (line,) = set_cookie_lines(sign_in(make_browser(backend), "ada"))
    assert parse_set_cookie(line) == (NAME, BESIDE | {"Secure": True, "SameSite": "Strict"})
    assert NAME.startswith("__Host-Http-")


def test_the_cookie_is_partitioned_when_the_page_is_of_another_site(make_backend: Build) -> None:
    """By setting, per origin: the only kind that lives where third-party cookies are blocked."""
    backend = make_backend(
        allowed_origins=(APP_ORIGIN, FAR_ORIGIN), cross_site_origins=(FAR_ORIGIN,)
    )
    backend.create_user("ada")
    (line,) = set_cookie_lines(
        sign_in(make_browser(backend, origin=FAR_ORIGIN, site="cross-site"), "ada")
    )
    far = {"Secure": True, "SameSite": "None", "Partitioned": True}
    assert parse_set_cookie(line) == (NAME, BESIDE | far)


def test_the_cookie_is_strict_when_another_origin_is_the_cross_site_one(
    make_backend: Build,
) -> None:
    """The setting is per origin."""
    backend = make_backend(
        allowed_origins=(APP_ORIGIN, FAR_ORIGIN), cross_site_origins=(FAR_ORIGIN,)
    )
    backend.create_user("ada")
    (line,) = set_cookie_lines(
        sign_in(make_browser(backend, origin=APP_ORIGIN, site="same-site"), "ada")
    )
    assert parse_set_cookie(line)[1]["SameSite"] == "Strict"


def test_the_cookie_is_plain_when_the_loopback_setting_is_on(make_backend: Build) -> None:
    """Safari takes no Secure cookie on http://localhost; the prefix would demand one."""
    backend = make_backend(insecure_cookies=True)
    backend.create_user("ada")
    (line,) = set_cookie_lines(sign_in(make_browser(backend), "ada"))
    assert parse_set_cookie(line) == (PLAIN_NAME, BESIDE | {"SameSite": "Strict"})


def test_the_plain_cookie_refreshes_when_the_loopback_setting_is_on(make_backend: Build) -> None:
    """It is read under the name it was set with."""
    backend = make_backend(insecure_cookies=True)
    assert refreshed(signed_in_browser(backend, "ada")).status_code == 200


def test_the_cookie_lives_for_the_rest_of_the_session_when_it_is_refreshed(
    backend: Backend, ada: FlaskClient
) -> None:
    """S-064: Max-Age shrinks, for a refresh extends no absolute life."""
    backend.clock.advance(days=10)
    (line,) = set_cookie_lines(refreshed(ada))
    assert parse_set_cookie(line)[1]["Max-Age"] == str(LIFE - 10 * 24 * 3600)


def test_the_loser_of_a_race_gets_an_access_token_and_no_cookie(
    backend: Backend, ada: FlaskClient
) -> None:
    """S-062: whichever answer comes last, the browser holds the winner's token."""
    token = str(refresh_cookie(ada))
    first, second = by_cookie(backend, token), by_cookie(backend, token)
    assert [len(set_cookie_lines(answer)) for answer in (first, second)] == [1, 0]
    assert second.get_json().keys() == first.get_json().keys()


def test_the_same_attempt_is_set_the_same_cookie_again(backend: Backend, ada: FlaskClient) -> None:
    """S-062: its first answer was lost."""
    headers = cookie_header(str(refresh_cookie(ada))) | {
        "Idempotency-Key": "attempt-0123456789abcdef"
    }
    client = make_browser(backend, jar=False)
    first, second = (client.post("/auth/refresh", json={}, headers=headers) for _ in range(2))
    assert set_cookie_lines(first) == set_cookie_lines(second) != []


def test_a_late_replay_sets_no_cookie(backend: Backend, ada: FlaskClient) -> None:
    """A replay never clears what a newer answer has set."""
    old = str(refresh_cookie(ada))
    refreshed(ada)
    refreshed(ada)
    backend.clock.advance(seconds=21)
    answer = by_cookie(backend, old)
    assert answer.get_json()["code"] == "refresh_reused"
    assert set_cookie_lines(answer) == []


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c", "x" * 5000])
def test_a_refused_refresh_sets_no_cookie(backend: Backend, token: str) -> None:
    """Whatever is wrong with the cookie, it is left to the next sign-in."""
    answer = by_cookie(backend, token)
    assert (answer.status_code, set_cookie_lines(answer)) == (401, [])


def test_a_refused_scope_sets_no_cookie_and_ends_nothing(
    backend: Backend, ada: FlaskClient
) -> None:
    """S-065: the token was not used up."""
    answer = ada.post("/auth/refresh", json={"scope": "users:write"})
    assert (answer.status_code, set_cookie_lines(answer)) == (400, [])
    assert alive(backend, str(refresh_cookie(ada)))


def test_a_session_past_its_life_sets_no_cookie(backend: Backend, ada: FlaskClient) -> None:
    """The browser forgets it by itself; a deletion could hit a newer one."""
    backend.clock.advance(days=15)
    answer = refreshed(ada)
    assert (answer.status_code, set_cookie_lines(answer)) == (401, [])


def test_a_cookie_sessions_token_is_refused_in_a_body(backend: Backend, ada: FlaskClient) -> None:
    """The way belongs to the session; being refused does not end it."""
    token = str(refresh_cookie(ada))
    assert by_body(backend, token).get_json()["code"] == "invalid_refresh_token"
    assert alive(backend, token)


def test_a_body_sessions_token_is_refused_in_a_cookie(backend: Backend) -> None:
    """The other way round."""
    backend.create_user("ada")
    token = backend.login("ada")["refresh_token"]
    assert by_cookie(backend, token).get_json()["code"] == "invalid_refresh_token"
    assert by_body(backend, token).status_code == 200


def test_a_token_in_the_body_is_refused_when_the_cookie_is_the_way(
    backend: Backend, ada: FlaskClient
) -> None:
    """Even beside a good cookie: two credentials are one too many."""
    answer = ada.post("/auth/refresh", json={"refresh_token": refresh_cookie(ada)})
    assert (answer.status_code, set_cookie_lines(answer)) == (401, [])
    assert alive(backend, str(refresh_cookie(ada)))


def test_a_cookie_is_overlooked_when_the_body_is_the_way(
    backend: Backend, ada: FlaskClient
) -> None:
    """Without the header the cookie is nobody's: 401, as if nothing had come."""
    headers = cookie_header(str(refresh_cookie(ada)))
    answer = cookieless_client(backend).post("/auth/refresh", json={}, headers=headers)
    assert answer.get_json()["code"] == "token_missing"


def test_a_cookie_sessions_token_ends_nothing_in_a_logout_body(
    backend: Backend, ada: FlaskClient
) -> None:
    """Logout is idempotent, so the answer tells nothing either."""
    token = str(refresh_cookie(ada))
    answer = backend.client().post("/auth/logout", json={"refresh_token": token})
    assert answer.status_code == 204
    assert alive(backend, token)


def test_the_delivery_is_one_of_two_words(backend: Backend) -> None:
    """A slip of the pen must not fall back to a token in the body."""
    backend.create_user("ada")
    answer = sign_in(backend.client(), "ada", **{"X-Auth-Delivery": "cookies"})
    assert answer.get_json()["code"] == "bad_request"


def test_logout_clears_the_cookie_and_ends_the_session(backend: Backend, ada: FlaskClient) -> None:
    """S-066: the token is no good afterwards, wherever it was copied to."""
    token = str(refresh_cookie(ada))
    assert ada.post("/auth/logout", json={}).status_code == 204
    assert (refresh_cookie(ada), alive(backend, token)) == (None, False)


def test_logout_clears_the_cookie_as_it_was_set(make_backend: Build) -> None:
    """A partitioned cookie is removed by a partitioned one only."""
    backend = make_backend(allowed_origins=(FAR_ORIGIN,), cross_site_origins=(FAR_ORIGIN,))
    client = signed_in_browser(backend, "ada", origin=FAR_ORIGIN, site="cross-site")
    (line,) = set_cookie_lines(client.post("/auth/logout", json={}))
    assert parse_set_cookie(line)[1]["Max-Age"] == "0"
    assert parse_set_cookie(line)[1]["Partitioned"]


def test_logout_without_anything_is_refused_and_clears_nothing(backend: Backend) -> None:
    """There is nothing to sign out of."""
    answer = make_browser(backend).post("/auth/logout", json={})
    assert (answer.get_json()["code"], set_cookie_lines(answer)) == ("token_missing", [])


def test_logout_with_an_old_access_token_is_no_error(backend: Backend, ada: FlaskClient) -> None:
    """Doing it twice is none, so the page can always forget."""
    access = refreshed(ada).get_json()["access_token"]
    backend.clock.advance(hours=2)
    ada.delete_cookie(NAME, domain="localhost")
    answer = ada.post("/auth/logout", json={}, headers={"Authorization": f"Bearer {access}"})
    assert answer.status_code == 204


def test_login_ends_the_session_that_the_browser_had(backend: Backend, ada: FlaskClient) -> None:
    """S-069: signing in again leaves no session behind that nobody can see."""
    before = str(refresh_cookie(ada))
    assert sign_in(ada, "ada").status_code == 200
    assert not alive(backend, before)


def test_login_of_somebody_else_ends_the_session_too(backend: Backend, ada: FlaskClient) -> None:
    """S-069: a shared computer does not stay signed in as two people."""
    before = str(refresh_cookie(ada))
    backend.create_user("bob")
    assert sign_in(ada, "bob").status_code == 200
    assert not alive(backend, before)


def test_a_failed_login_leaves_the_session_alone(backend: Backend, ada: FlaskClient) -> None:
    """A slip of the pen must not sign anybody out."""
    answer = ada.post("/auth/login", json={"username": "ada", "password": "wrong"})
    assert (answer.status_code, set_cookie_lines(answer)) == (401, [])
    assert alive(backend, str(refresh_cookie(ada)))


def test_login_in_a_program_ends_no_session_of_the_browser(
    backend: Backend, ada: FlaskClient
) -> None:
    """Only what was shown ends."""
    backend.login("ada")
    assert alive(backend, str(refresh_cookie(ada)))


def two(backend: Backend, ada: FlaskClient) -> tuple[str, str]:
    """Return the tokens of two cookie sessions, as a browser with both kinds of cookie has them."""
    other = make_browser(backend)
    sign_in(other, "ada")
    return str(refresh_cookie(ada)), str(refresh_cookie(other))


def test_two_cookies_refresh_nothing(backend: Backend, ada: FlaskClient) -> None:
    """Which one is meant, nobody can tell; neither is used up."""
    both = two(backend, ada)
    answer = by_cookie(backend, *both)
    assert (answer.status_code, set_cookie_lines(answer)) == (401, [])
    assert [alive(backend, one) for one in both] == [True, True]


def test_two_cookies_hinder_no_login(backend: Backend, ada: FlaskClient) -> None:
    """A browser with both kinds of cookie could never get in again; a sign-in puts it right."""
    both = two(backend, ada)
    answer = sign_in(make_browser(backend, jar=False), "ada", **cookie_header(*both))
    assert answer.status_code == 200
    assert [alive(backend, one) for one in both] == [False, False]


def test_two_cookies_are_both_replaced_at_login(backend: Backend, ada: FlaskClient) -> None:
    """The other kind is removed first, so that where they are one, the new one stays."""
    answer = sign_in(make_browser(backend, jar=False), "ada", **cookie_header(*two(backend, ada)))
    first, second = (parse_set_cookie(line)[1] for line in set_cookie_lines(answer))
    assert (first["Max-Age"], first["SameSite"]) == ("0", "None")
    assert (second["Max-Age"], second["SameSite"]) == (str(LIFE), "Strict")


def test_two_cookies_are_both_cleared_at_logout(backend: Backend, ada: FlaskClient) -> None:
    """And both sessions end."""
    both = two(backend, ada)
    client = make_browser(backend, jar=False)
    answer = client.post("/auth/logout", json={}, headers=cookie_header(*both))
    assert [parse_set_cookie(line)[1]["Max-Age"] for line in set_cookie_lines(answer)] == ["0", "0"]
    assert [alive(backend, one) for one in both] == [False, False]


@pytest.mark.parametrize("path", ["/auth/login", "/auth/refresh", "/auth/logout", "/oauth/token"])
def test_answers_with_tokens_are_kept_nowhere(backend: Backend, path: str) -> None:
    """S-070: errors too (RFC 6749 section 5.1)."""
    answer = backend.client().post(path, json={})
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Pragma"] == "no-cache"


def test_a_session_that_is_gone_hinders_no_logout(make_backend: Build) -> None:
    """The access token outlives the row by a moment: still 204, for nothing is left to end."""
    backend = make_backend(revocation_lag=timedelta(seconds=5))
    client = backend.signed_in_client("ada")
    with backend.services.database.transaction() as tx:
        tx.connection().exec_driver_sql("DELETE FROM itemsapi_session")
    assert client.post("/auth/logout", json={}).status_code == 204
