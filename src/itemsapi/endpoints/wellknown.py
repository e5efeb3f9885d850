"""Metadata for other programs: the public keys and the endpoints of the issuer."""

from itemsapi.endpoints import groups
from itemsapi.gate.decorators import public
from itemsapi.rest import Blueprint, Schema, fields
from itemsapi.services import services

blueprint = Blueprint(
    "wellknown",
    __name__,
    url_prefix="/.well-known",
    title="Public keys and metadata",
    group=groups.SIGN_IN,
)


class JwkSet(Schema):
    """Public keys (RFC 7517 section 5)."""

    keys = fields.List(fields.Dict(keys=fields.String(), values=fields.String()), required=True)


@blueprint.get("/jwks.json")
@public("other services verify access tokens with these public keys")
@blueprint.response(200, JwkSet())
def jwks() -> object:
    """Show the public keys that verify access tokens."""
    return {"keys": services().key_set.snapshot().public_jwks()}, {
        "Cache-Control": "public, max-age=60"
    }


class Metadata(Schema):
    """The metadata of the issuer (RFC 8414 section 2), without authorization endpoint (S-202)."""

    issuer = fields.String(required=True)
    token_endpoint = fields.String(required=True)
    revocation_endpoint = fields.String(required=True)
    introspection_endpoint = fields.String(required=True)
    jwks_uri = fields.String(required=True)
    scopes_supported = fields.List(fields.String(), required=True)
    response_types_supported = fields.List(fields.String(), required=True)
    grant_types_supported = fields.List(fields.String(), required=True)
    token_endpoint_auth_methods_supported = fields.List(fields.String(), required=True)
    revocation_endpoint_auth_methods_supported = fields.List(fields.String(), required=True)
    introspection_endpoint_auth_methods_supported = fields.List(fields.String(), required=True)


@blueprint.get("/oauth-authorization-server")
@public("clients read it before they have a token (RFC 8414)")
@blueprint.response(200, Metadata())
def metadata() -> object:
    """Show the metadata of the issuer for standard OAuth clients."""
    site, base = services().settings.public_url, services().base_url
    return {
        "issuer": site,
        "token_endpoint": f"{base}/oauth/token",
        "revocation_endpoint": f"{base}/oauth/revoke",
        "introspection_endpoint": f"{base}/oauth/introspect",
        "jwks_uri": f"{site}/.well-known/jwks.json",
        "scopes_supported": sorted(services().issuer.known_scopes()),
        "response_types_supported": [],
        "grant_types_supported": ["refresh_token"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "introspection_endpoint_auth_methods_supported": ["Bearer"],
    }
