"""POST /me/password: changes the password, and the session continues with new tokens (S-126)."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from itemsapi.issuer.sessions import end_all_sessions
from itemsapi.testing import PASSWORD
from itemsapi.testing.tokens import decode_part
from itemsapi.tokens.revocation import ALL_USERS
from support.app_factory import Backend
from support.browser_client import make_browser, refresh_cookie, set_cookie_lines, sign_in
from support.operator_client import NEW_PASSWORD, events, is_signed_in, refresh


def change(
    client: FlaskClient, current: str = PASSWORD, new: str = NEW_PASSWORD, **fields: object
) -> TestResponse:
    """Change the password."""
    body = {"current_password": current, "new_password": new} | fields
    return client.post("/me/password", json=body)


@pytest.fixture
def ada(backend: Backend, tokens: dict[str, Any]) -> FlaskClient:
    """A client that carries her access token."""
    return backend.bearer_client(tokens["access_token"])


@pytest.fixture
def page(backend: Backend, tokens: dict[str, Any]) -> FlaskClient:
    """A browser in which she is signed in, whose page sends its access token."""
    client = make_browser(backend)
    client.environ_base["HTTP_AUTHORIZATION"] = "Bearer {access_token}".format(
        **sign_in(client, "ada").json  # type: ignore[arg-type]  # it has a body
    )
    return client


def test_the_password_is_changed(backend: Backend, ada: FlaskClient) -> None:
    """The new one works, the old one does not (S-042)."""
    assert change(ada).status_code == 200
    assert backend.login("ada", password=NEW_PASSWORD)
    old = backend.client().post("/auth/login", json={"username": "ada", "password": PASSWORD})
    assert old.status_code == 401


def test_the_session_continues_with_new_tokens(
    backend: Backend, ada: FlaskClient, tokens: dict[str, Any]
) -> None:
    """S-126: it is the same session, with tokens as at sign-in."""
    renewed: dict[str, Any] = change(ada).get_json()
    assert renewed["session_id"] == tokens["session_id"]
    assert renewed.keys() == tokens.keys()
    assert is_signed_in(backend, renewed)
    assert is_signed_in(backend, refresh(backend, renewed).get_json())


def test_the_old_access_token_is_rejected(
    backend: Backend, ada: FlaskClient, tokens: dict[str, Any]
) -> None:
    """S-126: whoever has a copy is locked out."""
    change(ada)
    assert not is_signed_in(backend, tokens)


@pytest.mark.parametrize("late", [0, 10, 20])
def test_the_old_refresh_token_is_rejected_within_the_grace_window(
    backend: Backend, ada: FlaskClient, tokens: dict[str, Any], late: int
) -> None:
    """S-126: not even an access token is issued."""
    renewed = change(ada).get_json()
    backend.clock.advance(seconds=late)
    assert refresh(backend, tokens).status_code == 503
    assert refresh(backend, renewed).status_code == 200


def test_the_old_refresh_token_ends_no_session_after_the_grace_window(
    backend: Backend, ada: FlaskClient, tokens: dict[str, Any]
) -> None:
    """S-126: otherwise a locked-out thief could sign the owner out."""
    renewed = change(ada).get_json()
    backend.clock.advance(seconds=21)
    assert refresh(backend, tokens).get_json()["code"] == "invalid_refresh_token"
    assert refresh(backend, renewed).status_code == 200


SIGN_OUTS = [
    ("/auth/logout", "json", "refresh_token", "refresh_token"),
    ("/oauth/revoke", "data", "token", "refresh_token"),
    ("/oauth/revoke", "data", "token", "access_token"),
]  # path, kind of body, field, and the token that is copied into it


@pytest.mark.parametrize("rotations", [0, 2])
@pytest.mark.parametrize("sign_out", SIGN_OUTS)
def test_the_old_tokens_do_not_end_the_session(
    backend: Backend, tokens: dict[str, Any], sign_out: tuple[str, str, str, str], rotations: int
) -> None:
    """S-126: neither at the logout nor at the revocation endpoint, then or later."""
    path, kind, field, copied = sign_out
    renewed = change(backend.bearer_client(tokens["access_token"])).get_json()
    for _ in range(rotations):
        renewed = refresh(backend, renewed).get_json()
    sent: Any = {kind: {field: tokens[copied]}}
    backend.client().post(path, **sent)
    assert is_signed_in(backend, renewed)
    assert refresh(backend, renewed).status_code == 200


def test_the_new_refresh_token_ends_the_session(backend: Backend, ada: FlaskClient) -> None:
    """S-066: at the logout, like any other."""
    renewed = change(ada).get_json()
    backend.client().post("/auth/logout", json={"refresh_token": renewed["refresh_token"]})
    assert not is_signed_in(backend, renewed)


def test_tokens_of_all_earlier_generations_are_rejected(
    backend: Backend, tokens: dict[str, Any]
) -> None:
    """S-126: every older token of the session, not only the last."""
    second = refresh(backend, tokens).get_json()
    change(backend.bearer_client(second["access_token"]))
    assert [is_signed_in(backend, one) for one in (tokens, second)] == [False, False]
    assert refresh(backend, tokens).status_code == 503


def test_an_unseen_successor_does_not_outlive_the_change(
    backend: Backend, ada: FlaskClient, tokens: dict[str, Any]
) -> None:
    """S-126, S-073: a thief had refreshed unnoticed."""
    stolen = refresh(backend, tokens).get_json()
    renewed = change(ada).get_json()
    assert not is_signed_in(backend, stolen)
    assert refresh(backend, stolen).status_code == 503
    assert is_signed_in(backend, renewed)


def test_the_renewed_generation_counts_as_seen(
    backend: Backend, ada: FlaskClient, tokens: dict[str, Any]
) -> None:
    """S-126: older tokens heal no more, although the new ones are not used yet."""
    change(ada)
    backend.clock.advance(hours=1)
    assert refresh(backend, tokens).status_code == 401


def test_the_new_access_token_is_fresh(backend: Backend, ada: FlaskClient) -> None:
    """S-127: the password was just verified for it."""
    backend.clock.advance(minutes=5)
    claims = decode_part(change(ada).get_json()["access_token"], 1)
    assert (claims["fresh"], claims["amr"]) == (True, ["pwd"])
    assert claims["auth_time"] == int(backend.clock().timestamp())


def test_the_session_keeps_the_scope_of_its_sign_in(
    backend: Backend, tokens: dict[str, Any]
) -> None:
    """S-065, S-084: a scope that was omitted then does not come back."""
    assert tokens
    narrow = backend.login("ada", scope="items:read")
    renewed = change(backend.bearer_client(narrow["access_token"])).get_json()
    assert renewed["scope"] == "items:read"


def test_a_password_change_does_not_extend_the_absolute_lifetime(
    backend: Backend, tokens: dict[str, Any]
) -> None:
    """S-064: 90 days from the sign-in."""
    for _ in range(8):
        backend.clock.advance(days=10)
        tokens = refresh(backend, tokens).get_json()
    tokens = change(backend.bearer_client(tokens["access_token"])).get_json()
    backend.clock.advance(days=10)
    assert refresh(backend, tokens).status_code == 401


def test_other_sessions_end_by_default(
    backend: Backend, ada: FlaskClient, tokens: dict[str, Any]
) -> None:
    """S-126."""
    assert tokens
    other = backend.login("ada")
    change(ada)
    assert not is_signed_in(backend, other)
    assert refresh(backend, other).status_code == 401


def test_other_sessions_continue_when_requested(backend: Backend, ada: FlaskClient) -> None:
    """S-126; they have to refresh once."""
    other = backend.login("ada")
    change(ada, end_other_sessions=False)
    assert is_signed_in(backend, refresh(backend, other).get_json())


def test_a_session_that_has_ended_meanwhile_is_not_renewed(
    backend: Backend, ada: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-19: all sessions were ended while the password was being verified."""
    hashing = backend.services.issuer.password_service.hash

    def meanwhile(password: str) -> str:
        end_all_sessions(backend.services.issuer, why="a test")
        return hashing(password)

    monkeypatch.setattr(backend.services.issuer.password_service, "hash", meanwhile)
    assert change(ada).status_code == 401
    assert backend.login("ada")


def test_no_new_token_outlives_a_mass_revocation(
    backend: Backend, ada: FlaskClient, tokens: dict[str, Any]
) -> None:
    """R-19: the mass revocation is written while the change waits for the lock of the feed."""
    revocation_feed, changes = backend.services.revocation_feed, ThreadPoolExecutor(1)
    with backend.services.database.transaction() as tx:
        revocation_feed.revoke(tx, ALL_USERS, sessions=True)
        changing = changes.submit(change, ada)
        if backend.services.database.dialect == "postgresql":
            wait_for_blocked_connection(backend)
    response = changing.result()
    renewed = response.get_json() if response.status_code == 200 else tokens
    assert not is_signed_in(backend, renewed)


def wait_for_blocked_connection(backend: Backend) -> None:
    """Wait until a connection waits for an advisory lock."""
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    for _ in range(2000):
        with backend.services.database.reading() as connection:
            if connection.exec_driver_sql(waiting).scalar_one():
                return
    raise AssertionError("no connection waits")


def test_a_page_gets_the_new_token_in_its_cookie(page: FlaskClient) -> None:
    """S-090: the delivery of a session is fixed at sign-in."""
    before = refresh_cookie(page)
    response = change(page)
    assert "refresh_token" not in response.get_json()
    assert refresh_cookie(page) not in {before, None}
    assert page.post("/auth/refresh", json={}).status_code == 200


def test_a_page_is_rejected_when_it_could_not_store_the_cookie(
    backend: Backend, page: FlaskClient
) -> None:
    """S-126: otherwise the change would sign its user out; nothing is changed."""
    del page.environ_base["HTTP_X_AUTH_DELIVERY"]
    response = change(page)
    assert (response.status_code, response.get_json()["code"]) == (400, "bad_request")
    assert "X-Auth-Delivery: cookie" in response.get_json()["detail"]
    assert backend.login("ada")


def test_a_program_is_rejected_when_it_requests_a_cookie(ada: FlaskClient) -> None:
    """S-090: the token of a body session is put into no cookie."""
    ada.environ_base["HTTP_X_AUTH_DELIVERY"] = "cookie"
    ada.environ_base["HTTP_SEC_FETCH_SITE"] = "same-origin"
    response = change(ada)
    assert (response.status_code, set_cookie_lines(response)) == (400, [])


def test_a_foreign_page_changes_nothing(backend: Backend, page: FlaskClient) -> None:
    """S-091: whatever token it has."""
    page.environ_base |= {
        "HTTP_ORIGIN": "https://evil.example",
        "HTTP_SEC_FETCH_SITE": "cross-site",
    }
    problem = change(page).get_json()
    assert (problem["code"], "ITEMSAPI_ALLOWED_ORIGINS" in problem["detail"]) == ("csrf", True)
    assert backend.login("ada")


def test_a_listed_page_may_send_its_cookie(make_backend: Any) -> None:
    """S-093: credentials are allowed here as at the sign-in endpoints."""
    backend = make_backend(allowed_origins=("https://app.example",))
    headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    response = backend.client().options("/me/password", headers=headers)
    assert response.headers["Access-Control-Allow-Credentials"] == "true"


def test_the_response_is_not_cached(ada: FlaskClient) -> None:
    """S-070: it contains tokens."""
    headers = change(ada).headers
    assert (headers["Cache-Control"], headers["Pragma"]) == ("no-store", "no-cache")


def test_a_wrong_current_password_changes_nothing(backend: Backend, ada: FlaskClient) -> None:
    """The error names the field (S-042)."""
    response = change(ada, current="not my password at all")
    assert response.status_code == 422
    assert response.get_json()["errors"][0]["field"] == "current_password"
    assert backend.login("ada")


def test_a_wrong_current_password_is_audited(backend: Backend, ada: FlaskClient) -> None:
    """As an event of its own (S-149)."""
    change(ada, current="not my password at all")
    me = backend.services.users.get_by_name("ada").id
    assert len(events(backend, "authn_password_change_fail", user_id=me)) == 1


def test_the_change_is_audited(backend: Backend, ada: FlaskClient) -> None:
    """With user and session, and without a password (S-149, S-150)."""
    change(ada)
    (event,) = events(backend, "authn_password_change")
    assert event["user_id"] == event["caller_id"] == backend.services.users.get_by_name("ada").id
    assert NEW_PASSWORD not in str(event)


@pytest.mark.parametrize("new", ["short", "passwordpassword", "adaadaadaadaada", "x" * 257])
def test_a_new_password_is_rejected_when_it_breaks_the_policy(ada: FlaskClient, new: str) -> None:
    """It does not count as a failed attempt (S-040, S-041, S-130)."""
    response = change(ada, new=new)
    assert (response.status_code, response.get_json()["errors"][0]["field"]) == (
        422,
        "new_password",
    )


def test_other_fields_of_the_user_cannot_be_changed(backend: Backend, ada: FlaskClient) -> None:
    """Neither roles nor names (S-082, S-084)."""
    response = change(ada, roles=["admin"], username="root", disabled=False)
    assert response.status_code == 422
    assert backend.services.users.get_by_name("ada").roles == ("member",)


def test_both_passwords_are_required(ada: FlaskClient) -> None:
    """Being signed in is not enough (S-042)."""
    assert ada.post("/me/password", json={"new_password": NEW_PASSWORD}).status_code == 422


def test_a_password_does_not_expire(backend: Backend, tokens: dict[str, Any]) -> None:
    """Users are never forced to change it (S-131)."""
    backend.clock.advance(days=400)
    assert backend.login("ada")
    assert tokens
