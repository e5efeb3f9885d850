"""Real OAuth clients refresh, revoke and read the metadata over a real socket (S-138, S-139)."""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session, OAuthError
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from oauthlib.oauth2 import InvalidGrantError, InvalidScopeError, LegacyApplicationClient
from requests_oauthlib import OAuth2Session as RequestsSession
from werkzeug.serving import make_server

from itemsapi import create_app
from itemsapi.services import EXTENSION
from itemsapi.testing import MovableClock, testing_settings
from support.app_factory import Backend

CLIENTS = Path(__file__).parents[1] / "clients"
METADATA = "/.well-known/oauth-authorization-server"
Tokens = dict[str, Any]


@pytest.fixture(scope="module")
def served(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Backend]]:
    """The address of a running backend, and the backend."""
    folder = tmp_path_factory.mktemp("served")
    shutil.copy(sqlite_template, folder / "itemsapi.db")
    server = make_server("127.0.0.1", 0, lambda *_: [], threaded=True)
    url = f"http://127.0.0.1:{server.server_port}"
    clock = MovableClock()
    server.app = create_app(testing_settings(folder, public_url=url), clock=clock)
    backend = Backend(server.app, server.app.extensions[EXTENSION], clock)
    backend.create_user("ada", "member")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield url, backend
    server.shutdown()
    thread.join()
    server.server_close()
    backend.services.database.dispose()


@pytest.fixture
def url(served: tuple[str, Backend], monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of the backend; the libraries allow http for a loopback address."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return served[0]


@pytest.fixture
def tokens(served: tuple[str, Backend]) -> Tokens:
    """The tokens of a new session of the user `ada`."""
    return served[1].login("ada")


@pytest.fixture
def metadata(url: str) -> dict[str, Any]:
    """The metadata of the issuer."""
    return dict(requests.get(url + METADATA, timeout=60).json())


def is_accepted(url: str, token: str) -> bool:
    """Return whether the gate accepts an access token."""
    headers = {"Authorization": f"Bearer {token}"}
    status = requests.get(f"{url}/auth/sessions", headers=headers, timeout=60).status_code
    assert status in {200, 401}
    return status == 200


def requests_session(tokens: Tokens, scope: str | None = None) -> RequestsSession:
    """Return a session of requests-oauthlib with these tokens."""
    return RequestsSession(client=LegacyApplicationClient("app"), token=tokens, scope=scope)


def test_requests_oauthlib_refreshes(url: str, metadata: dict[str, Any], tokens: Tokens) -> None:
    """The additional fields that it sends are ignored (S-072)."""
    fresh = requests_session(tokens).refresh_token(metadata["token_endpoint"], client_id="app")
    assert fresh["refresh_token"] != tokens["refresh_token"]
    assert is_accepted(url, fresh["access_token"])


def test_requests_oauthlib_understands_errors(metadata: dict[str, Any], tokens: Tokens) -> None:
    """RFC 6749 section 5.2: it raises a different exception for each error."""
    endpoint = metadata["token_endpoint"]
    with pytest.raises(InvalidGrantError):
        requests_session(tokens).refresh_token(endpoint, refresh_token="nonsense")
    with pytest.raises(InvalidScopeError):
        requests_session(tokens, scope="users:write").refresh_token(endpoint)


def test_requests_oauthlib_revokes(url: str, metadata: dict[str, Any], tokens: Tokens) -> None:
    """RFC 7009: the request is built by oauthlib."""
    client = LegacyApplicationClient("app")
    to, headers, body = client.prepare_token_revocation_request(
        metadata["revocation_endpoint"], tokens["refresh_token"], "refresh_token"
    )
    assert requests.post(to, headers=headers, data=body, timeout=60).status_code == 200
    assert not is_accepted(url, tokens["access_token"])


def authlib_session(tokens: Tokens) -> OAuth2Session:
    """Return a session of Authlib for a public client with these tokens."""
    return OAuth2Session("app", token=tokens, token_endpoint_auth_method="none")


def test_authlib_refreshes(url: str, metadata: dict[str, Any], tokens: Tokens) -> None:
    """As a public client."""
    fresh = authlib_session(tokens).refresh_token(metadata["token_endpoint"])
    assert is_accepted(url, fresh["access_token"])


def test_authlib_understands_errors(metadata: dict[str, Any], tokens: Tokens) -> None:
    """RFC 6749 section 5.2."""
    with pytest.raises(OAuthError) as error:
        authlib_session(tokens).refresh_token(metadata["token_endpoint"], refresh_token="x")
    assert error.value.error == "invalid_grant"


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_authlib_revokes(url: str, metadata: dict[str, Any], tokens: Tokens, kind: str) -> None:
    """RFC 7009: either kind of token."""
    session = authlib_session(tokens)
    response = session.revoke_token(  # type: ignore[no-untyped-call]  # a gap in the stubs
        metadata["revocation_endpoint"], tokens[kind], kind
    )
    assert response.status_code == 200
    assert not is_accepted(url, tokens["access_token"])


def test_authlib_accepts_the_metadata(url: str, metadata: dict[str, Any]) -> None:
    """RFC 8414: all members except the two for authorization endpoints, which we do not have."""
    secure = json.loads(json.dumps(metadata).replace("http://", "https://"))
    parsed = AuthorizationServerMetadata(secure)
    for name in set(parsed.REGISTRY_KEYS) - {"authorization_endpoint", "response_types_supported"}:
        getattr(parsed, f"validate_{name}")()
    assert metadata["issuer"] == url


def test_another_service_verifies_a_token_with_only_the_jwks_uri(
    metadata: dict[str, Any], tokens: Tokens
) -> None:
    """S-138: another service needs only a JWT library."""
    keys = jwt.PyJWKClient(metadata["jwks_uri"])
    key = keys.get_signing_key_from_jwt(tokens["access_token"])
    claims = jwt.decode(
        tokens["access_token"], key, issuer=metadata["issuer"], audience="itemsapi",
        algorithms=["EdDSA", "ES256", "RS256"],
    )  # fmt: skip
    assert claims["sid"] == tokens["session_id"]


def missing(what: str) -> None:
    """Skip a test whose tools are not installed; fail it in CI."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing")
    pytest.skip(f"{what} is missing")


@pytest.fixture(scope="module")
def oauth4webapi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the locked version of oauth4webapi and the program that uses it."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        missing("Node.js")
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "package-lock.json", "oauth4webapi.mjs"):
        shutil.copy(CLIENTS / name, folder)
    install = [str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    if subprocess.run(install, cwd=folder, check=False, timeout=120).returncode:  # noqa: S603 - npm
        missing("oauth4webapi from npm")
    return folder


@pytest.mark.slow  # it needs Node.js, which is not always installed
def test_oauth4webapi_supports_all_endpoints(
    served: tuple[str, Backend], oauth4webapi: Path, url: str, tokens: Tokens
) -> None:
    """Discovery, refresh, errors, introspection, revocation: the program prints each step."""
    node = shutil.which("node") or ""
    arguments = [url, tokens["refresh_token"]]
    done = subprocess.run(  # noqa: S603 - a program of this repository
        [node, "oauth4webapi.mjs", *arguments], cwd=oauth4webapi, check=False, timeout=60,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.split() == ["discovered", "refreshed", "narrowed", "refused", "revoked"]
