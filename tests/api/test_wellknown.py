"""The well-known documents: the metadata and the keys describe what is enforced."""

import jwt
import pytest
from flask.testing import FlaskClient

from support.app_factory import Backend

pytestmark = pytest.mark.dialect("sqlite")  # metadata does not depend on the database


def metadata(client: FlaskClient) -> dict[str, object]:
    """Return the metadata."""
    found: dict[str, object] = client.get("/.well-known/oauth-authorization-server").get_json()
    return found


def test_the_issuer_is_the_public_url(client: FlaskClient) -> None:
    """S-138: exactly as in a token (RFC 8414 section 3.3)."""
    assert metadata(client)["issuer"] == "http://localhost:8000"


def test_every_endpoint_in_the_metadata_exists(backend: Backend, client: FlaskClient) -> None:
    """S-138: none of them is 404."""
    named = {k: str(v) for k, v in metadata(client).items() if k.endswith(("_endpoint", "_uri"))}
    paths = [address.removeprefix("http://localhost:8000") for address in named.values()]
    assert len(paths) == 4
    assert 404 not in {client.open(path, method="OPTIONS").status_code for path in paths}


def test_the_metadata_lists_all_scopes(backend: Backend, client: FlaskClient) -> None:
    """S-138: an admin has them all."""
    backend.create_user("root", "admin")
    granted = backend.login("root")["scope"].split()
    assert metadata(client)["scopes_supported"] == sorted(granted)


def test_the_metadata_lists_the_supported_grants(client: FlaskClient) -> None:
    """S-071, S-138: `refresh_token` and no other; each is tried."""
    offered = metadata(client)["grant_types_supported"]
    tried = ["password", "authorization_code", "client_credentials", "refresh_token", "implicit"]
    errors = {
        grant: client.post("/oauth/token", data={"grant_type": grant}).get_json()["error"]
        for grant in tried
    }
    assert [g for g, error in errors.items() if error != "unsupported_grant_type"] == offered


def test_introspection_accepts_the_method_of_the_metadata(client: FlaskClient) -> None:
    """S-138: that of its challenge, a bearer token (RFC 8414 section 2)."""
    methods = metadata(client)["introspection_endpoint_auth_methods_supported"]
    challenge = client.post("/oauth/introspect").headers["WWW-Authenticate"]
    assert [challenge.split()[0]] == methods


@pytest.mark.parametrize("name", ["token", "revocation"])
def test_no_client_authentication_is_needed_as_the_metadata_says(
    client: FlaskClient, name: str
) -> None:
    """S-138: the method is `none`."""
    assert metadata(client)[f"{name}_endpoint_auth_methods_supported"] == ["none"]


def test_there_is_no_authorization_endpoint(client: FlaskClient) -> None:
    """S-202: so there are no response types either."""
    assert "authorization_endpoint" not in metadata(client)
    assert metadata(client)["response_types_supported"] == []


@pytest.mark.parametrize("path", ["jwks.json", "oauth-authorization-server"])
def test_the_well_known_documents_are_public(client: FlaskClient, path: str) -> None:
    """RFC 8414, RFC 7517: an invalid credential is ignored."""
    bad = {"Authorization": "Bearer nonsense"}
    assert client.get(f"/.well-known/{path}", headers=bad).status_code == 200


def test_a_token_can_be_verified_with_the_jwks_only(backend: Backend, client: FlaskClient) -> None:
    """S-138: with nothing but the JWKS, the issuer and the audience."""
    backend.create_user("ada", "member")
    token = backend.login("ada")["access_token"]
    keys = jwt.PyJWKSet.from_dict(client.get("/.well-known/jwks.json").get_json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(
        token, key, algorithms=["EdDSA"], issuer="http://localhost:8000", audience="itemsapi"
    )
    assert claims["scope"] == "items:read items:write"
