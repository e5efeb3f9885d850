"""The OAuth endpoints: refresh, revoke and introspect with standard OAuth clients."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from jsonschema import validate
from werkzeug.test import TestResponse

from itemsapi import problems
from itemsapi.endpoints.oauth import ERRORS
from support.app_factory import Backend
from support.browser_client import refresh_cookie, signed_in_browser

ERROR = {  # RFC 6749 section 5.2: the allowed characters
    "type": "object",
    "properties": {
        "error": {"type": "string", "pattern": r"^[\x20-\x21\x23-\x5B\x5D-\x7E]+$"},
        "error_description": {"type": "string", "pattern": r"^[\x20-\x21\x23-\x5B\x5D-\x7E]+$"},
    },
    "required": ["error", "error_description"],
    "additionalProperties": False,
}
GRANT = {"grant_type": "refresh_token"}


def refresh(client: FlaskClient, token: str, **fields: str) -> TestResponse:
    """Refresh with a form."""
    return client.post("/oauth/token", data=GRANT | {"refresh_token": token} | fields)


def status_and_error(response: TestResponse) -> tuple[int, str]:
    """Return the status and the error of an error response, which is well-formed."""
    body = response.get_json()
    validate(body, ERROR)
    return response.status_code, body["error"]


def is_valid(client: FlaskClient, token: str) -> bool:
    """Return whether a refresh token is valid; it is used up."""
    return refresh(client, token).status_code == 200


def test_a_refresh_token_is_rotated(client: FlaskClient, tokens: dict[str, str]) -> None:
    """RFC 6749 section 6: a new refresh token, and an access token that works."""
    new_tokens = refresh(client, tokens["refresh_token"]).get_json()
    assert new_tokens.keys() == {
        "access_token", "token_type", "expires_in", "refresh_token", "scope",
    }  # fmt: skip
    assert is_valid(client, new_tokens["refresh_token"])


def test_both_refresh_endpoints_serve_the_same_session(
    backend: Backend, client: FlaskClient, tokens: dict[str, str]
) -> None:
    """A token from one endpoint is refreshed at the other."""
    new_tokens = refresh(client, tokens["refresh_token"]).get_json()
    response = client.post("/auth/refresh", json={"refresh_token": new_tokens["refresh_token"]})
    assert response.get_json()["session_id"] == tokens["session_id"]


def test_a_copied_token_ends_the_session(
    backend: Backend, client: FlaskClient, tokens: dict[str, str]
) -> None:
    """S-061: at this endpoint as well."""
    second = refresh(client, tokens["refresh_token"]).get_json()["refresh_token"]
    third = refresh(client, second).get_json()["refresh_token"]
    backend.clock.advance(seconds=21)
    assert status_and_error(refresh(client, tokens["refresh_token"])) == (400, "invalid_grant")
    assert not is_valid(client, third)


@pytest.mark.parametrize("scope", ["items:read", " ", ""])
def test_a_narrower_scope_is_granted(
    client: FlaskClient, tokens: dict[str, str], scope: str
) -> None:
    """S-065; an empty parameter counts as omitted (RFC 6749 section 3.2)."""
    response = refresh(client, tokens["refresh_token"], scope=scope)
    wanted = {"items:read": (200, "items:read"), "": (200, "items:read items:write")}
    got = (response.status_code, response.get_json().get("scope"))
    assert got == wanted.get(scope, (400, None))


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("invalid_request", {}),
    ("invalid_request", {"grant_type": "refresh_token"}),
    ("invalid_request", {"grant_type": "", "refresh_token": "x"}),
    ("invalid_request", {"grant_type": "refresh_token", "refresh_token": ""}),
    ("invalid_request", {"refresh_token": "x"}),
    ("invalid_request", {"grant_type": "refresh_token", "refresh_token": "x" * 9000}),
    ("invalid_request", {"grant_type": ["refresh_token", "refresh_token"], "refresh_token": "x"}),
    ("invalid_request", {"grant_type": "refresh_token", "refresh_token": ["a", "b"]}),
    ("invalid_request", {"grant_type": "refresh_token", "refresh_token": "a", "x": ["1", "2"]}),
    ("unsupported_grant_type", {"grant_type": "password", "username": "ada", "password": "x"}),
    ("unsupported_grant_type", {"grant_type": "client_credentials"}),
    ("unsupported_grant_type", {"grant_type": "authorization_code", "code": "x"}),
    ("unsupported_grant_type", {"grant_type": "REFRESH_TOKEN", "refresh_token": "x"}),
    ("invalid_grant", {"grant_type": "refresh_token", "refresh_token": "nonsense"}),
    ("invalid_grant", {"grant_type": "refresh_token", "refresh_token": "a.b.c"}),
]


@pytest.mark.parametrize(("word", "form"), WRONG)
def test_an_error_has_the_form_of_oauth(
    client: FlaskClient, word: str, form: dict[str, Any]
) -> None:
    """S-071, S-072, S-139: 400 with `error` (RFC 6749 section 5.2)."""
    response = client.post("/oauth/token", data=form)
    assert status_and_error(response) == (400, word)
    assert response.headers["Cache-Control"] == "no-store"


def test_a_wider_scope_is_rejected(client: FlaskClient, tokens: dict[str, str]) -> None:
    """S-065: the token is not used up."""
    response = refresh(client, tokens["refresh_token"], scope="items:read users:write")
    assert status_and_error(response) == (400, "invalid_scope")
    assert is_valid(client, tokens["refresh_token"])


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", None])
def test_a_body_is_rejected_when_it_is_no_form(
    client: FlaskClient, content_type: str | None
) -> None:
    """RFC 6749 section 3.2: only form encoding."""
    response = client.post("/oauth/token", data="grant_type=x", content_type=content_type)
    assert status_and_error(response) == (400, "invalid_request")


def test_unknown_fields_are_ignored(client: FlaskClient, tokens: dict[str, str]) -> None:
    """S-072: clients send their id and more."""
    fields = {"client_id": "app", "client_secret": "x", "audience": "y", "z": "\u00e9"}
    assert refresh(client, tokens["refresh_token"], **fields).status_code == 200


def test_parameters_in_the_query_are_not_read(client: FlaskClient, tokens: dict[str, str]) -> None:
    """RFC 6749 section 2.3.1: no secret belongs in a URL."""
    query = GRANT | {"refresh_token": tokens["refresh_token"]}
    assert status_and_error(client.post("/oauth/token", query_string=query, data={}))[0] == 400
    assert is_valid(client, tokens["refresh_token"])


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke", "/oauth/introspect"])
def test_only_post_is_allowed(client: FlaskClient, path: str) -> None:
    """RFC 6749 section 3.2."""
    assert client.get(path).status_code == 405


def test_the_credential_of_a_client_is_ignored(client: FlaskClient, tokens: dict[str, str]) -> None:
    """No client is registered, so none is rejected either (method `none`)."""
    client.environ_base["HTTP_AUTHORIZATION"] = "Basic YXBwOg=="
    assert refresh(client, tokens["refresh_token"]).status_code == 200


def test_the_token_of_a_cookie_session_is_no_grant(backend: Backend, client: FlaskClient) -> None:
    """The delivery belongs to the session."""
    browser = signed_in_browser(backend, "bob")
    assert status_and_error(refresh(client, str(refresh_cookie(browser)))) == (400, "invalid_grant")
    assert browser.post("/auth/refresh", json={}).status_code == 200


@pytest.mark.parametrize("kind", ERRORS)
def test_every_description_has_allowed_characters(kind: type[problems.Problem]) -> None:
    """S-139: neither quotes nor other characters that a client might reject."""
    kinds = [kind, *kind.__subclasses__()]
    for one in kinds:
        validate({"error": ERRORS[kind], "error_description": one.title}, ERROR)


HINTS = [None, "access_token", "refresh_token", "unknown_kind", ""]


def revoke(client: FlaskClient, token: str, hint: str | None = None) -> int:
    """Revoke a token."""
    form = {"token": token} | ({} if hint is None else {"token_type_hint": hint})
    return client.post("/oauth/revoke", data=form).status_code


@pytest.mark.parametrize("hint", HINTS)
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_a_revoked_token_ends_its_session(
    backend: Backend, client: FlaskClient, tokens: dict[str, str], kind: str, hint: str | None
) -> None:
    """S-136: either kind, even with a wrong hint (RFC 7009 section 2.1)."""
    assert revoke(client, tokens[kind], hint) == 200
    assert not is_valid(client, tokens["refresh_token"])
    assert backend.bearer_client(tokens["access_token"]).get("/auth/sessions").status_code == 401


@pytest.mark.parametrize("token", ["x", "a.b.c", "\u00e9", "e30.e30.e30", "0" * 8192])
def test_revoking_an_unknown_token_succeeds(client: FlaskClient, token: str) -> None:
    """S-136: 200 (RFC 7009 section 2.2)."""
    assert revoke(client, token) == 200


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_revoking_a_token_twice_succeeds(
    client: FlaskClient, tokens: dict[str, str], kind: str
) -> None:
    """S-136."""
    assert [revoke(client, tokens[kind]) for _ in range(2)] == [200, 200]


def test_revoking_an_expired_access_token_ends_no_session(
    backend: Backend, client: FlaskClient, tokens: dict[str, str]
) -> None:
    """It is no longer a valid token; the response is 200."""
    backend.clock.advance(hours=2)
    assert revoke(client, tokens["access_token"]) == 200
    assert is_valid(client, tokens["refresh_token"])


def test_revoking_is_rejected_without_a_token(client: FlaskClient) -> None:
    """RFC 7009 section 2.1: the token is required."""
    assert status_and_error(client.post("/oauth/revoke", data={})) == (400, "invalid_request")


def test_the_response_to_a_revocation_has_no_body(
    client: FlaskClient, tokens: dict[str, str]
) -> None:
    """RFC 7009 section 2.2: clients ignore it."""
    response = client.post("/oauth/revoke", data={"token": tokens["refresh_token"]})
    assert (response.data, response.headers["Cache-Control"]) == (b"", "no-store")


def test_a_revocation_fails_when_it_cannot_be_stored(
    backend: Backend, client: FlaskClient, tokens: dict[str, str]
) -> None:
    """S-136: 503 with Retry-After, in the form of OAuth; the token is not lost (RFC 7009 2.2.1)."""
    with backend.services.database.transaction() as tx:
        tx.connection().exec_driver_sql("ALTER TABLE itemsapi_session RENAME TO away")
    response = client.post("/oauth/revoke", data={"token": tokens["refresh_token"]})
    assert status_and_error(response) == (503, "temporarily_unavailable")
    assert response.headers["Retry-After"]


def test_introspection_needs_a_token(client: FlaskClient, tokens: dict[str, str]) -> None:
    """S-137: 401 with a challenge for anonymous callers."""
    response = client.post("/oauth/introspect", data={"token": tokens["access_token"]})
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_introspection_needs_the_scope(backend: Backend, tokens: dict[str, str]) -> None:
    """S-137: a member introspects neither others' tokens nor an own one."""
    ada = backend.bearer_client(tokens["access_token"])
    response = ada.post("/oauth/introspect", data={"token": tokens["access_token"]})
    assert response.status_code == 403
    assert 'scope="tokens:read"' in response.headers["WWW-Authenticate"]
