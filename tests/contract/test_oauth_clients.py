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
from itemsapi.settings import Settings
from support.app_factory import Backend, MovingClock

CLIENTS = Path(__file__).parents[1] / "clients"
SECRET = "t3st-only-0123456789-abcdefghijklmnopqrstuvwxyz"
METADATA = "/.well-known/oauth-authorization-server"
Tokens = dict[str, Any]


@pytest.fixture(scope="module")
def served(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Backend]]:
    """A backend on a port of its own, and its address."""
    folder = tmp_path_factory.mktemp("served")
    shutil.copy(sqlite_template, folder / "itemsapi.db")
    server = make_server("127.0.0.1", 0, lambda *_: [], threaded=True)
    url = f"http://127.0.0.1:{server.server_port}"
    clock = MovingClock()
    settings = Settings(data_dir=folder, secret_key=SECRET, public_url=url, rate_limit=None)
    server.app = create_app(settings, clock=clock)
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
    """Where the backend is; the libraries insist on https, but for a loopback address."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return served[0]


@pytest.fixture
def tokens(served: tuple[str, Backend]) -> Tokens:
    """The tokens of a new session of ada's."""
    return served[1].login("ada")


@pytest.fixture
def metadata(url: str) -> dict[str, Any]:
    """What the issuer says of itself."""
    return dict(requests.get(url + METADATA, timeout=60).json())


def opens(url: str, token: str) -> bool:
    """Tell whether an access token opens a door."""
    headers = {"Authorization": f"Bearer {token}"}
    status = requests.get(f"{url}/auth/sessions", headers=headers, timeout=60).status_code
    assert status in {200, 401}
    return status == 200


def requests_session(tokens: Tokens, scope: str | None = None) -> RequestsSession:
    """Return requests-oauthlib's session for a program that keeps these tokens."""
    return RequestsSession(client=LegacyApplicationClient("app"), token=tokens, scope=scope)


def test_requests_oauthlib_refreshes(url: str, metadata: dict[str, Any], tokens: Tokens) -> None:
    """With the fields it sends besides, which are ignored (S-072)."""
    fresh = requests_session(tokens).refresh_token(metadata["token_endpoint"], client_id="app")
    assert fresh["refresh_token"] != tokens["refresh_token"]
    assert opens(url, fresh["access_token"])


def test_requests_oauthlib_understands_a_refusal(metadata: dict[str, Any], tokens: Tokens) -> None:
    """RFC 6749 section 5.2: each error is an exception of its own."""
    endpoint = metadata["token_endpoint"]
    with pytest.raises(InvalidGrantError):
        requests_session(tokens).refresh_token(endpoint, refresh_token="nonsense")
    with pytest.raises(InvalidScopeError):
        requests_session(tokens, scope="users:write").refresh_token(endpoint)


def test_requests_oauthlib_revokes(url: str, metadata: dict[str, Any], tokens: Tokens) -> None:
    """RFC 7009, in the words of oauthlib."""
    client = LegacyApplicationClient("app")
    to, headers, body = client.prepare_token_revocation_request(
        metadata["revocation_endpoint"], tokens["refresh_token"], "refresh_token"
    )
    assert requests.post(to, headers=headers, data=body, timeout=60).status_code == 200
    assert not opens(url, tokens["access_token"])


def authlib_session(tokens: Tokens) -> OAuth2Session:
    """Return Authlib's session for a public client that keeps these tokens."""
    return OAuth2Session("app", token=tokens, token_endpoint_auth_method="none")


def test_authlib_refreshes(url: str, metadata: dict[str, Any], tokens: Tokens) -> None:
    """As a public client."""
    fresh = authlib_session(tokens).refresh_token(metadata["token_endpoint"])
    assert opens(url, fresh["access_token"])


def test_authlib_understands_a_refusal(metadata: dict[str, Any], tokens: Tokens) -> None:
    """RFC 6749 section 5.2."""
    with pytest.raises(OAuthError) as refused:
        authlib_session(tokens).refresh_token(metadata["token_endpoint"], refresh_token="x")
    assert refused.value.error == "invalid_grant"


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_authlib_revokes(url: str, metadata: dict[str, Any], tokens: Tokens, kind: str) -> None:
    """RFC 7009: either kind of token."""
    session = authlib_session(tokens)
    answer = session.revoke_token(  # type: ignore[no-untyped-call]  # the stubs' own gap
        metadata["revocation_endpoint"], tokens[kind], kind
    )
    assert answer.status_code == 200
    assert not opens(url, tokens["access_token"])


def test_authlib_finds_the_metadata_in_order(url: str, metadata: dict[str, Any]) -> None:
    """RFC 8414: every member but two, which are for authorization endpoints, and we have none."""
    secure = json.loads(json.dumps(metadata).replace("http://", "https://"))
    found = AuthorizationServerMetadata(secure)
    for name in set(found.REGISTRY_KEYS) - {"authorization_endpoint", "response_types_supported"}:
        getattr(found, f"validate_{name}")()
    assert metadata["issuer"] == url


def test_a_stranger_verifies_a_token_with_nothing_but_jwks_uri(
    metadata: dict[str, Any], tokens: Tokens
) -> None:
    """S-138: another service needs no library of ours."""
    keys = jwt.PyJWKClient(metadata["jwks_uri"])
    key = keys.get_signing_key_from_jwt(tokens["access_token"])
    claims = jwt.decode(
        tokens["access_token"], key, issuer=metadata["issuer"], audience="itemsapi",
        algorithms=["EdDSA", "ES256", "RS256"],
    )  # fmt: skip
    assert claims["sid"] == tokens["session_id"]


def missing(what: str) -> None:
    """Skip what this machine has not; under CI it is a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing")
    pytest.skip(f"{what} is missing")


@pytest.fixture(scope="module")
def oauth4webapi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with oauth4webapi, as the lock file has it, and the program that uses it."""
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


@pytest.mark.slow  # it needs Node, which not every machine that runs the rest has
def test_oauth4webapi_does_it_all(
    served: tuple[str, Backend], oauth4webapi: Path, url: str, tokens: Tokens
) -> None:
    """Discovery, refresh, refusals, introspection, revocation: each step as it says itself."""
    node = shutil.which("node") or ""
    given = [url, tokens["refresh_token"]]
    done = subprocess.run(  # noqa: S603 - our own program
        [node, "oauth4webapi.mjs", *given], cwd=oauth4webapi, check=False, timeout=60,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.split() == ["discovered", "refreshed", "narrowed", "refused", "revoked"]
