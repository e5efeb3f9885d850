"""The second door: refresh, revoke and introspect as standard OAuth clients do."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from jsonschema import validate
from werkzeug.test import TestResponse

from itemsapi import problems
from itemsapi.endpoints.oauth import ERRORS
from support.app_factory import Backend
from support.browser_client import refresh_cookie, signed_in_browser

ERROR = {  # RFC 6749 section 5.2: the characters that may stand there
    "type": "object",
    "properties": {
        "error": {"type": "string", "pattern": r"^[\x20-\x21\x23-\x5B\x5D-\x7E]+$"},
        "error_description": {"type": "string", "pattern": r"^[\x20-\x21\x23-\x5B\x5D-\x7E]+$"},
    },
    "required": ["error", "error_description"],
    "additionalProperties": False,
}
GRANT = {"grant_type": "refresh_token"}


@pytest.fixture
def tokens(backend: Backend) -> dict[str, str]:
    """The tokens of ada, who just signed in."""
    backend.create_user("ada", "member")
    return backend.login("ada")


@pytest.fixture
def client(backend: Backend) -> FlaskClient:
    """A program without a token."""
    return backend.client()


def refresh(client: FlaskClient, token: str, **more: str) -> TestResponse:
    """Ask for new tokens with a form."""
    return client.post("/oauth/token", data=GRANT | {"refresh_token": token} | more)


def error(answer: TestResponse) -> tuple[int, str]:
    """Return the status and the error of a refusal, which is well-formed."""
    said = answer.get_json()
    validate(said, ERROR)
    return answer.status_code, said["error"]


def good(client: FlaskClient, token: str) -> bool:
    """Tell whether a refresh token is good; it is used up."""
    return refresh(client, token).status_code == 200


def test_a_refresh_token_turns_over(client: FlaskClient, tokens: dict[str, str]) -> None:
    """RFC 6749 section 6: a new refresh token, and an access token that works."""
    given = refresh(client, tokens["refresh_token"]).get_json()
    assert given.keys() == {
        "access_token", "token_type", "expires_in", "refresh_token", "scope",
    }  # fmt: skip
    assert good(client, given["refresh_token"])


def test_both_doors_serve_the_same_session(
    backend: Backend, client: FlaskClient, tokens: dict[str, str]
) -> None:
    """What came through one is refreshed through the other."""
    given = refresh(client, tokens["refresh_token"]).get_json()
    answer = client.post("/auth/refresh", json={"refresh_token": given["refresh_token"]})
    assert answer.get_json()["session_id"] == tokens["session_id"]


def test_a_copied_token_ends_the_session(
    backend: Backend, client: FlaskClient, tokens: dict[str, str]
) -> None:
    """S-061: through this door as well."""
    second = refresh(client, tokens["refresh_token"]).get_json()["refresh_token"]
    third = refresh(client, second).get_json()["refresh_token"]
    backend.clock.advance(seconds=21)
    assert error(refresh(client, tokens["refresh_token"])) == (400, "invalid_grant")
    assert not good(client, third)


@pytest.mark.parametrize("scope", ["items:read", " ", ""])
def test_a_narrower_scope_is_given(client: FlaskClient, tokens: dict[str, str], scope: str) -> None:
    """S-065; what is empty counts as left out (RFC 6749 section 3.2)."""
    answer = refresh(client, tokens["refresh_token"], scope=scope)
    wanted = {"items:read": (200, "items:read"), "": (200, "items:read items:write")}
    got = (answer.status_code, answer.get_json().get("scope"))
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
def test_a_refusal_says_what_oauth_clients_understand(
    client: FlaskClient, word: str, form: dict[str, Any]
) -> None:
    """S-071, S-072, S-139: 400 with `error` (RFC 6749 section 5.2)."""
    answer = client.post("/oauth/token", data=form)
    assert error(answer) == (400, word)
    assert answer.headers["Cache-Control"] == "no-store"


def test_more_scope_than_granted_is_refused(client: FlaskClient, tokens: dict[str, str]) -> None:
    """S-065: and the token is not used up."""
    answer = refresh(client, tokens["refresh_token"], scope="items:read users:write")
    assert error(answer) == (400, "invalid_scope")
    assert good(client, tokens["refresh_token"])


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", None])
def test_what_is_no_form_is_refused(client: FlaskClient, content_type: str | None) -> None:
    """RFC 6749 section 3.2: form-encoded, and nothing else."""
    answer = client.post("/oauth/token", data="grant_type=x", content_type=content_type)
    assert error(answer) == (400, "invalid_request")


def test_unknown_fields_are_ignored(client: FlaskClient, tokens: dict[str, str]) -> None:
    """S-072: clients send their id and more."""
    more = {"client_id": "app", "client_secret": "x", "audience": "y", "z": "\u00e9"}
    assert refresh(client, tokens["refresh_token"], **more).status_code == 200


def test_parameters_in_the_query_are_not_read(client: FlaskClient, tokens: dict[str, str]) -> None:
    """RFC 6749 section 2.3.1: nothing secret in an address."""
    query = GRANT | {"refresh_token": tokens["refresh_token"]}
    assert error(client.post("/oauth/token", query_string=query, data={}))[0] == 400
    assert good(client, tokens["refresh_token"])


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke", "/oauth/introspect"])
def test_only_post_is_served(client: FlaskClient, path: str) -> None:
    """RFC 6749 section 3.2: POST alone."""
    assert client.get(path).status_code == 405


def test_a_credential_of_a_client_is_overlooked(
    client: FlaskClient, tokens: dict[str, str]
) -> None:
    """No client is registered, so none is refused either (method `none`)."""
    client.environ_base["HTTP_AUTHORIZATION"] = "Basic YXBwOg=="
    assert refresh(client, tokens["refresh_token"]).status_code == 200


def test_a_cookie_sessions_token_is_no_grant(backend: Backend, client: FlaskClient) -> None:
    """The way belongs to the session."""
    browser = signed_in_browser(backend, "bob")
    assert error(refresh(client, str(refresh_cookie(browser)))) == (400, "invalid_grant")
    assert browser.post("/auth/refresh", json={}).status_code == 200


@pytest.mark.parametrize("kind", ERRORS)
def test_every_description_has_allowed_characters(kind: type[problems.Problem]) -> None:
    """S-139: neither quotes nor anything else that a client might choke on."""
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
    """S-136: either kind, and a wrong hint is no obstacle (RFC 7009 section 2.1)."""
    assert revoke(client, tokens[kind], hint) == 200
    assert not good(client, tokens["refresh_token"])
    assert backend.bearer_client(tokens["access_token"]).get("/auth/sessions").status_code == 401


@pytest.mark.parametrize("token", ["x", "a.b.c", "\u00e9", "e30.e30.e30", "0" * 8192])
def test_an_unknown_token_is_revoked_already(client: FlaskClient, token: str) -> None:
    """S-136: 200 (RFC 7009 section 2.2)."""
    assert revoke(client, token) == 200


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_a_token_is_revoked_twice(client: FlaskClient, tokens: dict[str, str], kind: str) -> None:
    """S-136: the second time as well."""
    assert [revoke(client, tokens[kind]) for _ in range(2)] == [200, 200]


def test_an_expired_access_token_ends_nothing(
    backend: Backend, client: FlaskClient, tokens: dict[str, str]
) -> None:
    """It is no token any more, and 200 all the same."""
    backend.clock.advance(hours=2)
    assert revoke(client, tokens["access_token"]) == 200
    assert good(client, tokens["refresh_token"])


def test_revoking_nothing_is_refused(client: FlaskClient) -> None:
    """RFC 7009 section 2.1: the token is required."""
    assert error(client.post("/oauth/revoke", data={})) == (400, "invalid_request")


def test_a_revoked_answer_has_no_body(client: FlaskClient, tokens: dict[str, str]) -> None:
    """RFC 7009 section 2.2: the content of the body is ignored, so there is none."""
    answer = client.post("/oauth/revoke", data={"token": tokens["refresh_token"]})
    assert (answer.data, answer.headers["Cache-Control"]) == (b"", "no-store")


def test_a_revocation_that_cannot_be_stored_is_no_success(
    backend: Backend, client: FlaskClient, tokens: dict[str, str]
) -> None:
    """S-136: 503 with Retry-After, in words of OAuth; the token is not lost (RFC 7009 2.2.1)."""
    with backend.services.database.transaction() as tx:
        tx.connection().exec_driver_sql("ALTER TABLE itemsapi_session RENAME TO away")
    answer = client.post("/oauth/revoke", data={"token": tokens["refresh_token"]})
    assert error(answer) == (503, "temporarily_unavailable")
    assert answer.headers["Retry-After"]


def test_introspection_needs_a_token(client: FlaskClient, tokens: dict[str, str]) -> None:
    """S-137: anonymous callers get 401, and a challenge."""
    answer = client.post("/oauth/introspect", data={"token": tokens["access_token"]})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_introspection_needs_the_scope(backend: Backend, tokens: dict[str, str]) -> None:
    """S-137: a member does not ask about others' tokens, nor about an own one."""
    ada = backend.bearer_client(tokens["access_token"])
    answer = ada.post("/oauth/introspect", data={"token": tokens["access_token"]})
    assert answer.status_code == 403
    assert 'scope="tokens:read"' in answer.headers["WWW-Authenticate"]
