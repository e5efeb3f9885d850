"""Cookie delivery: the refresh token is in a cookie that no script can read, and nowhere else."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from itemsapi.endpoints.token_response import COOKIE_NAME, PLAIN_COOKIE_NAME
from itemsapi.testing import PASSWORD
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

pytestmark = pytest.mark.dialect("sqlite")  # cookies do not depend on the database

Build = Callable[..., Backend]

LIFE = 90 * 24 * 3600
BESIDE = {"Path": "/", "Max-Age": str(LIFE), "HttpOnly": True}


@pytest.fixture
def ada(backend: Backend) -> FlaskClient:
    """A browser in which ada is signed in."""
    return signed_in_browser(backend, "ada")


def refresh(client: FlaskClient, **headers: str) -> TestResponse:
    """Refresh from a page."""
    return client.post("/auth/refresh", json={}, headers=headers)


def refresh_with_cookies(backend: Backend, *tokens: str) -> TestResponse:
    """Refresh with exactly these cookies."""
    client = make_browser(backend, jar=False)
    return client.post("/auth/refresh", json={}, headers=cookie_header(*tokens))


def refresh_with_body(backend: Backend, token: str) -> TestResponse:
    """Refresh as a program does."""
    return backend.client().post("/auth/refresh", json={"refresh_token": token})


def is_session_active(backend: Backend, token: str) -> bool:
    """Return whether the session of a refresh token, in a cookie, continues."""
    return refresh_with_cookies(backend, token).status_code == 200


def test_login_puts_the_refresh_token_into_the_cookie_only(backend: Backend) -> None:
    """S-090."""
    backend.create_user("ada")
    client = make_browser(backend)
    response = sign_in(client, "ada")
    assert "refresh_token" not in response.get_json()
    assert str(refresh_cookie(client)) not in response.get_data(as_text=True)


def test_refresh_puts_the_refresh_token_into_the_cookie_only(ada: FlaskClient) -> None:
    """S-090: the token of a cookie session is never in a body."""
    response = refresh(ada)
    assert response.get_json().keys() == {
        "access_token", "token_type", "expires_in", "scope", "session_id", "user",
    }  # fmt: skip
    assert str(refresh_cookie(ada)) not in response.get_data(as_text=True)


@pytest.mark.parametrize("path", ["/auth/login", "/auth/refresh"])
def test_a_token_response_says_who_is_signed_in(backend: Backend, path: str) -> None:
    """A page shows the name without a further request."""
    user_id = backend.create_user("ada")
    client = make_browser(backend)
    sign_in(client, "ada")
    body = {"username": "ada", "password": PASSWORD} if path == "/auth/login" else {}
    response = client.post(path, json=body)
    assert response.get_json()["user"] == {"id": user_id, "username": "ada"}


def test_no_cookie_is_set_when_the_delivery_is_the_body(backend: Backend) -> None:
    """A program never gets a cookie."""
    backend.create_user("ada")
    response = sign_in(backend.client(), "ada")
    assert set_cookie_lines(response) == []
    assert response.get_json()["refresh_token"]


@pytest.mark.parametrize("path", ["/auth/login", "/auth/refresh"])
def test_a_page_of_another_site_is_rejected_when_it_is_not_listed_as_one(
    make_backend: Build, path: str
) -> None:
    """The browser would drop its cookie, so nobody is signed in; the problem names the setting."""
    backend = make_backend(allowed_origins=(FAR_ORIGIN,))
    backend.create_user("ada")
    page = make_browser(backend, origin=FAR_ORIGIN, site="cross-site")
    response = page.post(path, json={"username": "ada", "password": PASSWORD})
    problem = response.get_json()
    assert (problem["code"], set_cookie_lines(response)) == ("csrf", [])
    assert "ITEMSAPI_CROSS_SITE_ORIGINS" in problem["detail"]


def test_the_cookie_is_strict_when_the_page_is_of_the_same_site(backend: Backend) -> None:
    """S-090: __Host-, Secure, HttpOnly, SameSite=Strict, Path=/, no Domain."""
    backend.create_user("ada")
    (line,) = set_cookie_lines(sign_in(make_browser(backend), "ada"))
    assert parse_set_cookie(line) == (COOKIE_NAME, BESIDE | {"Secure": True, "SameSite": "Strict"})
    assert COOKIE_NAME.startswith("__Host-Http-")


def test_the_cookie_is_partitioned_when_the_page_is_of_another_site(make_backend: Build) -> None:
    """By setting, per origin: the only kind that works where third-party cookies are blocked."""
    backend = make_backend(
        allowed_origins=(APP_ORIGIN, FAR_ORIGIN), cross_site_origins=(FAR_ORIGIN,)
    )
    backend.create_user("ada")
    (line,) = set_cookie_lines(
        sign_in(make_browser(backend, origin=FAR_ORIGIN, site="cross-site"), "ada")
    )
    far = {"Secure": True, "SameSite": "None", "Partitioned": True}
    assert parse_set_cookie(line) == (COOKIE_NAME, BESIDE | far)


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
    """Safari rejects a Secure cookie on http://localhost; the prefix requires one."""
    backend = make_backend(insecure_cookies=True)
    backend.create_user("ada")
    (line,) = set_cookie_lines(sign_in(make_browser(backend), "ada"))
    assert parse_set_cookie(line) == (PLAIN_COOKIE_NAME, BESIDE | {"SameSite": "Strict"})


def test_the_plain_cookie_refreshes_when_the_loopback_setting_is_on(make_backend: Build) -> None:
    """It is read by the name with which it was set."""
    backend = make_backend(insecure_cookies=True)
    assert refresh(signed_in_browser(backend, "ada")).status_code == 200


def test_the_lifetime_of_the_cookie_ends_with_the_session_when_it_is_refreshed(
    backend: Backend, ada: FlaskClient
) -> None:
    """S-064: Max-Age shrinks, because a refresh does not extend the absolute lifetime."""
    backend.clock.advance(days=10)
    (line,) = set_cookie_lines(refresh(ada))
    assert parse_set_cookie(line)[1]["Max-Age"] == str(LIFE - 10 * 24 * 3600)


def test_the_loser_of_a_race_gets_an_access_token_and_no_cookie(
    backend: Backend, ada: FlaskClient
) -> None:
    """S-062: whichever response comes last, the browser keeps the token of the first."""
    token = str(refresh_cookie(ada))
    first, second = refresh_with_cookies(backend, token), refresh_with_cookies(backend, token)
    assert [len(set_cookie_lines(response)) for response in (first, second)] == [1, 0]
    assert second.get_json().keys() == first.get_json().keys()


def test_a_retry_gets_the_same_cookie(backend: Backend, ada: FlaskClient) -> None:
    """S-062: the first response was lost."""
    headers = cookie_header(str(refresh_cookie(ada))) | {
        "Idempotency-Key": "attempt-0123456789abcdef"
    }
    client = make_browser(backend, jar=False)
    first, second = (client.post("/auth/refresh", json={}, headers=headers) for _ in range(2))
    assert set_cookie_lines(first) == set_cookie_lines(second) != []


def test_a_late_replay_sets_no_cookie(backend: Backend, ada: FlaskClient) -> None:
    """A replay never clears a cookie that a newer response has set."""
    old = str(refresh_cookie(ada))
    refresh(ada)
    refresh(ada)
    backend.clock.advance(seconds=21)
    response = refresh_with_cookies(backend, old)
    assert response.get_json()["code"] == "refresh_reused"
    assert set_cookie_lines(response) == []


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c", "x" * 5000])
def test_a_rejected_refresh_sets_no_cookie(backend: Backend, token: str) -> None:
    """An invalid cookie is kept until the next sign-in."""
    response = refresh_with_cookies(backend, token)
    assert (response.status_code, set_cookie_lines(response)) == (401, [])


def test_a_rejected_scope_sets_no_cookie_and_ends_no_session(
    backend: Backend, ada: FlaskClient
) -> None:
    """S-065: the token is not used up."""
    response = ada.post("/auth/refresh", json={"scope": "users:write"})
    assert (response.status_code, set_cookie_lines(response)) == (400, [])
    assert is_session_active(backend, str(refresh_cookie(ada)))


def test_an_expired_session_sets_no_cookie(backend: Backend, ada: FlaskClient) -> None:
    """The browser forgets it by itself; deleting it could delete a newer one."""
    backend.clock.advance(days=15)
    response = refresh(ada)
    assert (response.status_code, set_cookie_lines(response)) == (401, [])


def test_the_token_of_a_cookie_session_is_rejected_in_a_body(
    backend: Backend, ada: FlaskClient
) -> None:
    """The delivery belongs to the session; the rejection does not end it."""
    token = str(refresh_cookie(ada))
    assert refresh_with_body(backend, token).get_json()["code"] == "invalid_refresh_token"
    assert is_session_active(backend, token)


def test_the_token_of_a_body_session_is_rejected_in_a_cookie(backend: Backend) -> None:
    """The delivery belongs to the session."""
    backend.create_user("ada")
    token = backend.login("ada")["refresh_token"]
    assert refresh_with_cookies(backend, token).get_json()["code"] == "invalid_refresh_token"
    assert refresh_with_body(backend, token).status_code == 200


def test_a_token_in_the_body_is_rejected_when_the_delivery_is_the_cookie(
    backend: Backend, ada: FlaskClient
) -> None:
    """Even beside a valid cookie: only one credential is allowed."""
    response = ada.post("/auth/refresh", json={"refresh_token": refresh_cookie(ada)})
    assert (response.status_code, set_cookie_lines(response)) == (401, [])
    assert is_session_active(backend, str(refresh_cookie(ada)))


def test_the_cookie_is_ignored_when_the_delivery_is_the_body(
    backend: Backend, ada: FlaskClient
) -> None:
    """Without the header for the delivery: 401, as without a credential."""
    headers = cookie_header(str(refresh_cookie(ada)))
    response = cookieless_client(backend).post("/auth/refresh", json={}, headers=headers)
    assert response.get_json()["code"] == "token_missing"


def test_the_token_of_a_cookie_session_ends_nothing_in_a_logout_body(
    backend: Backend, ada: FlaskClient
) -> None:
    """Logout is idempotent, so the response reveals nothing either."""
    token = str(refresh_cookie(ada))
    response = backend.client().post("/auth/logout", json={"refresh_token": token})
    assert response.status_code == 204
    assert is_session_active(backend, token)


def test_the_delivery_is_rejected_when_it_is_unknown(backend: Backend) -> None:
    """A typing error must not fall back to a token in the body."""
    backend.create_user("ada")
    response = sign_in(backend.client(), "ada", **{"X-Auth-Delivery": "cookies"})
    assert response.get_json()["code"] == "bad_request"


def test_logout_clears_the_cookie_and_ends_the_session(backend: Backend, ada: FlaskClient) -> None:
    """S-066: a copy of the token is worthless afterwards."""
    token = str(refresh_cookie(ada))
    assert ada.post("/auth/logout", json={}).status_code == 204
    assert (refresh_cookie(ada), is_session_active(backend, token)) == (None, False)


def test_logout_clears_the_cookie_as_it_was_set(make_backend: Build) -> None:
    """Only a partitioned cookie removes a partitioned one."""
    backend = make_backend(allowed_origins=(FAR_ORIGIN,), cross_site_origins=(FAR_ORIGIN,))
    client = signed_in_browser(backend, "ada", origin=FAR_ORIGIN, site="cross-site")
    (line,) = set_cookie_lines(client.post("/auth/logout", json={}))
    assert parse_set_cookie(line)[1]["Max-Age"] == "0"
    assert parse_set_cookie(line)[1]["Partitioned"]


def test_logout_is_rejected_without_a_credential(backend: Backend) -> None:
    """No cookie is cleared."""
    response = make_browser(backend).post("/auth/logout", json={})
    assert (response.get_json()["code"], set_cookie_lines(response)) == ("token_missing", [])


def test_logout_succeeds_with_an_old_access_token(backend: Backend, ada: FlaskClient) -> None:
    """A second logout succeeds as well, so that a page can always clear its cookie."""
    access = refresh(ada).get_json()["access_token"]
    backend.clock.advance(hours=2)
    ada.delete_cookie(COOKIE_NAME, domain="localhost")
    response = ada.post("/auth/logout", json={}, headers={"Authorization": f"Bearer {access}"})
    assert response.status_code == 204


def test_login_ends_the_previous_session_of_the_browser(backend: Backend, ada: FlaskClient) -> None:
    """S-069: no forgotten session stays behind."""
    before = str(refresh_cookie(ada))
    assert sign_in(ada, "ada").status_code == 200
    assert not is_session_active(backend, before)


def test_login_of_another_user_ends_the_previous_session(
    backend: Backend, ada: FlaskClient
) -> None:
    """S-069: a shared computer is not signed in as two users."""
    before = str(refresh_cookie(ada))
    backend.create_user("bob")
    assert sign_in(ada, "bob").status_code == 200
    assert not is_session_active(backend, before)


def test_a_failed_login_ends_no_session(backend: Backend, ada: FlaskClient) -> None:
    """A typing error must not sign a user out."""
    response = ada.post("/auth/login", json={"username": "ada", "password": "wrong"})
    assert (response.status_code, set_cookie_lines(response)) == (401, [])
    assert is_session_active(backend, str(refresh_cookie(ada)))


def test_login_in_a_program_ends_no_session_of_the_browser(
    backend: Backend, ada: FlaskClient
) -> None:
    """Only the session of the cookie in the request ends."""
    backend.login("ada")
    assert is_session_active(backend, str(refresh_cookie(ada)))


def two_cookies(backend: Backend, ada: FlaskClient) -> tuple[str, str]:
    """Return the tokens of two cookie sessions, for a browser with both kinds of cookie."""
    other = make_browser(backend)
    sign_in(other, "ada")
    return str(refresh_cookie(ada)), str(refresh_cookie(other))


def test_refresh_is_rejected_with_two_cookies(backend: Backend, ada: FlaskClient) -> None:
    """It is unclear which one is meant; neither is used up."""
    both = two_cookies(backend, ada)
    response = refresh_with_cookies(backend, *both)
    assert (response.status_code, set_cookie_lines(response)) == (401, [])
    assert [is_session_active(backend, one) for one in both] == [True, True]


def test_login_succeeds_with_two_cookies(backend: Backend, ada: FlaskClient) -> None:
    """Otherwise a browser with both kinds of cookie could never sign in again."""
    both = two_cookies(backend, ada)
    response = sign_in(make_browser(backend, jar=False), "ada", **cookie_header(*both))
    assert response.status_code == 200
    assert [is_session_active(backend, one) for one in both] == [False, False]


def test_login_replaces_both_cookies(backend: Backend, ada: FlaskClient) -> None:
    """The other kind is removed first, so that the new one stays if both have one name."""
    response = sign_in(
        make_browser(backend, jar=False), "ada", **cookie_header(*two_cookies(backend, ada))
    )
    first, second = (parse_set_cookie(line)[1] for line in set_cookie_lines(response))
    assert (first["Max-Age"], first["SameSite"]) == ("0", "None")
    assert (second["Max-Age"], second["SameSite"]) == (str(LIFE), "Strict")


def test_logout_clears_both_cookies(backend: Backend, ada: FlaskClient) -> None:
    """Both sessions end."""
    both = two_cookies(backend, ada)
    client = make_browser(backend, jar=False)
    response = client.post("/auth/logout", json={}, headers=cookie_header(*both))
    assert [parse_set_cookie(line)[1]["Max-Age"] for line in set_cookie_lines(response)] == [
        "0",
        "0",
    ]
    assert [is_session_active(backend, one) for one in both] == [False, False]


@pytest.mark.parametrize("path", ["/auth/login", "/auth/refresh", "/auth/logout", "/oauth/token"])
def test_token_responses_are_not_cached(backend: Backend, path: str) -> None:
    """S-070: errors too (RFC 6749 section 5.1)."""
    response = backend.client().post(path, json={})
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Pragma"] == "no-cache"


def test_logout_succeeds_when_the_session_no_longer_exists(make_backend: Build) -> None:
    """The access token outlives the row for a moment: 204, because nothing is left to end."""
    backend = make_backend(revocation_lag=timedelta(seconds=5))
    client = backend.signed_in_client("ada")
    with backend.services.database.transaction() as tx:
        tx.connection().exec_driver_sql("DELETE FROM itemsapi_session")
    assert client.post("/auth/logout", json={}).status_code == 204
