"""What `AuthLayer` puts into an application: the gate, the response headers, the endpoints."""

from functools import partial

from flask import Flask, Response, request

from itemsapi import endpoints, rest
from itemsapi.composition import Services
from itemsapi.gate.api_keys import ApiKeyCredential
from itemsapi.gate.authenticate import SeenGenerations, TokenVerifier
from itemsapi.gate.credentials import Credential, Credentials, FollowsClock
from itemsapi.gate.csrf import CsrfPolicy
from itemsapi.gate.gate import Gate
from itemsapi.gate.route_rules import RulesByKey
from itemsapi.gate.rulebook import Rulebook
from itemsapi.gate.shadowed_routes import LAYER_PREFIX
from itemsapi.layer_options import LayerOptions
from itemsapi.problems import Problem
from itemsapi.rate_limits import RequestRateLimiter
from itemsapi.rest.default_headers import (
    RESPONSE_HEADERS,
    add_cors_headers_last,
    add_default_headers,
    response_headers,
)
from itemsapi.rest.error_handlers import problem_response, set_problems_url
from itemsapi.rest.middleware import Middleware
from itemsapi.tokens.rotation import mark_generation_seen


def build_gate(services: Services, options: LayerOptions) -> Gate:
    """Return the gate of an application with these services."""
    settings = services.settings
    verifier = TokenVerifier(
        token_codec=services.token_codec,
        key_set=services.key_set,
        revocation_feed=services.revocation_feed,
        clock=services.clock,
        on_verified=SeenGenerations(
            partial(mark_generation_seen, services.database)
        ).record_after_response,
    )
    credentials = Credentials(verifier, _other_credentials(services, options))
    return Gate(
        credentials,
        CsrfPolicy(settings.public_url, settings.allowed_origins, settings.cross_site_origins),
        clock=services.clock,
        rules=RulesByKey(options.rules),
        scope_registry=services.issuer.scope_registry,
        count_request=RequestRateLimiter(
            settings.rate_limit, settings.rate_limit_url, options.monotonic
        ).hit,
        respond=_respond,
        treats_as_layer=lambda: options.whole_app or _is_layer_endpoint(),
        on_seal=partial(_complete, services, credentials),
    )


def _other_credentials(services: Services, options: LayerOptions) -> list[Credential]:
    """Return the credentials beside the access token."""
    given = [
        credential.with_clock(options.clock) if isinstance(credential, FollowsClock) else credential
        for credential in options.credentials
    ]
    if "api_keys" not in options.include:
        return given
    return [*given, ApiKeyCredential(services.api_key_lookup.find_owner)]


def _is_layer_endpoint() -> bool:
    """Return whether the current request is for an endpoint of the layer."""
    return (request.endpoint or "").startswith(LAYER_PREFIX)


def set_response_headers(app: Flask, services: Services, options: LayerOptions) -> None:
    """Set the headers that responses of the layer get, and with `whole_app` all others."""
    set_problems_url(app, services.problems_url)
    if isinstance(app.wsgi_app, Middleware):  # it adds them to every response of `create_app`
        return
    app.extensions[RESPONSE_HEADERS] = response_headers(services.settings, services.url_prefix)
    if options.whole_app:
        add_cors_headers_last(app)


def register_endpoints(api: rest.Api, services: Services, options: LayerOptions) -> None:
    """Register the blueprints of the layer under names that the application has not."""
    for blueprint in endpoints.blueprints(
        services.settings, options.include, has_layer_users=options.users is None
    ):
        path = blueprint.url_prefix or ""
        is_well_known = path == "/.well-known"  # it stays at the root: RFC 8615
        api.register_blueprint(
            blueprint,
            name=f"{LAYER_PREFIX}{blueprint.name}",
            url_prefix=path if is_well_known else f"{options.url_prefix}{path}" or None,
        )


def build_api(app: Flask, services: Services, gate: Gate, options: LayerOptions) -> rest.Api:
    """Return the `Api` that registers the blueprints of the layer and documents all routes."""
    api = rest.Api(
        app,
        config_prefix="ITEMSAPI_",
        rule_for=lambda route, method: gate.seal(app).rule_for(route, method),
        problems_url=services.problems_url,
        public_url=services.settings.public_url,
        credentials=gate.credentials.others,
        **rest.spec_options(
            services.settings,
            services.url_prefix,
            has_pages="docs" in options.include and services.settings.docs,
            host=None if isinstance(app.wsgi_app, Middleware) else app,
        ),
    )
    rest.describe(app, api)
    return api


def _complete(services: Services, credentials: Credentials, app: Flask, rulebook: Rulebook) -> None:
    services.token_codec.install(app)
    url = services.settings.public_url
    rest.complete_documents(app, rulebook, rest.Api, credentials.others, public_url=url)


def _respond(problem: Problem) -> Response:
    return add_default_headers(problem_response(problem))
