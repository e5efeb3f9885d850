"""Credentials of an application: each only where a rule names it, one a request (S-011)."""

from collections.abc import Mapping
from typing import Any

import pytest
from flask import Flask, Request
from flask_jwt_extended import get_jwt

from itemsapi import Caller, Scope, current_caller, public, requires, signed_in
from itemsapi.extension import AuthLayer
from itemsapi.gate.api_keys import ApiKeyCredential
from itemsapi.gate.credentials import Credential
from itemsapi.gate.hmac_signature import HmacSignature
from itemsapi.gate.rulebook import RulesInvalid
from itemsapi.problems import TokenInvalid
from support.app_factory import Backend
from support.host import HostFactory
from support.log_records import LogRecords
from support.tokens import error_code

pytestmark = pytest.mark.dialect("sqlite")  # the gate does not depend on the database

TEA = Scope("tea:pour", "Pour tea")
BADGE = {"X-Badge": "good"}


class Badge:
    """A credential in a header of its own: `good`, or `poor` without scopes."""

    name, scheme = "badge", "Badge"
    documentation: Mapping[str, Any] = {"type": "apiKey", "in": "header", "name": "X-Badge"}

    def is_present(self, request: Request) -> bool:
        """Return whether there is a badge."""
        return "X-Badge" in request.headers

    def authenticate(self, request: Request) -> Caller | None:
        """Return the caller. Raise `TokenInvalid` for an unknown badge."""
        scopes = {"good": {"tea:pour"}, "poor": set[str]()}.get(request.headers["X-Badge"])
        if scopes is None:
            raise TokenInvalid
        return Caller("robot", frozenset(scopes), credential=self.name)


def add_routes(app: Flask) -> None:
    """Add routes for a badge, for a token, for both and for everybody."""

    @app.get("/badge")
    @requires(TEA, by={"badge"})
    def badge() -> dict[str, object]:
        caller = current_caller()
        return {
            "user": caller.user_id,
            "session": caller.session_id,
            "credential": caller.credential,
            "claims": dict(caller.claims),
            "may": [caller.may(TEA), caller.may("tea:drink")],
        }

    @app.get("/both")
    @signed_in(by=["access_token", "badge"])
    def both() -> dict[str, object]:
        return {"credential": current_caller().credential}

    @app.get("/token")
    @signed_in
    def token() -> dict[str, object]:
        return {"credential": current_caller().credential}

    @app.get("/jwt")
    @signed_in(by="badge")
    def jwt() -> dict[str, object]:
        return dict(get_jwt())

    @app.get("/open")
    @public("for everybody")
    def open_() -> dict[str, object]:
        return {}


@pytest.fixture
def backend(host: HostFactory) -> Backend:
    """A host with the credential."""
    return host(add_routes, credentials=[Badge()])


def test_a_view_knows_the_caller_of_another_credential(backend: Backend) -> None:
    """Without session and claims: it is no user's sign-in."""
    assert backend.client().get("/badge", headers=BADGE).get_json() == {
        "user": "robot",
        "session": None,
        "credential": "badge",
        "claims": {},
        "may": [True, False],
    }


@pytest.mark.parametrize(
    ("badge", "status", "code"),
    [
        (None, 401, "token_missing"),
        ("bad", 401, "invalid_token"),
        ("poor", 403, "insufficient_scope"),
    ],
)
def test_a_request_is_rejected_as_with_a_token(
    backend: Backend, badge: str | None, status: int, code: str
) -> None:
    """Without it, with an invalid one, without the scope (S-001)."""
    headers = {} if badge is None else {"X-Badge": badge}
    response = backend.client().get("/badge", headers=headers)
    assert (response.status_code, error_code(response)) == (status, code)


def test_a_credential_opens_no_route_that_does_not_name_it(backend: Backend) -> None:
    """S-001: the rule without `by` accepts the access token alone."""
    response = backend.client().get("/token", headers=BADGE)
    assert (response.status_code, error_code(response)) == (401, "credential_not_accepted")


def test_a_token_does_not_open_a_route_for_another_credential(backend: Backend) -> None:
    """Not even that of an admin."""
    response = backend.signed_in_client("root", "admin").get("/badge")
    assert (response.status_code, error_code(response)) == (401, "credential_not_accepted")


def test_each_of_the_named_credentials_is_accepted(backend: Backend) -> None:
    """A route may name several."""
    ada = backend.signed_in_client("ada", "member")
    answers = [ada.get("/both"), backend.client().get("/both", headers=BADGE)]
    assert [answer.get_json() for answer in answers] == [
        {"credential": "access_token"},
        {"credential": "badge"},
    ]


@pytest.mark.parametrize("path", ["/both", "/token", "/badge"])
@pytest.mark.parametrize("badge", ["good", "bad"])
def test_two_credentials_are_rejected(backend: Backend, path: str, badge: str) -> None:
    """S-011: whether the rule names one or both, whether one is bad or none."""
    ada = backend.signed_in_client("ada", "member")
    response = ada.get(path, headers={"X-Badge": badge})
    assert (response.status_code, error_code(response)) == (400, "credentials_ambiguous")


def test_a_malformed_token_beside_a_good_credential_is_rejected(backend: Backend) -> None:
    """S-011: a bad one is one, too."""
    headers = BADGE | {"Authorization": "Bearer"}
    assert backend.client().get("/both", headers=headers).status_code == 400


def test_another_scheme_beside_a_good_credential_is_no_credential(backend: Backend) -> None:
    """A proxy may have its own password there."""
    headers = BADGE | {"Authorization": "Basic eDp5"}
    assert backend.client().get("/badge", headers=headers).status_code == 200


def test_a_public_route_reads_no_credential(backend: Backend) -> None:
    """As it reads no token."""
    headers = {"X-Badge": "bad", "Authorization": "Bearer x"}
    assert backend.client().get("/open", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("path", "challenge"),
    [
        ("/token", 'Bearer realm="itemsapi"'),
        ("/badge", 'Badge realm="itemsapi"'),
        ("/both", 'Bearer realm="itemsapi", Badge realm="itemsapi"'),
    ],
)
def test_the_challenge_names_the_accepted_schemes(
    backend: Backend, path: str, challenge: str
) -> None:
    """RFC 9110 section 11.6.1."""
    assert backend.client().get(path).headers["WWW-Authenticate"] == challenge


def test_the_advice_names_the_accepted_credentials(backend: Backend) -> None:
    """The usual advice would send its reader to the sign-in."""
    detail = backend.client().get("/badge").get_json()["detail"]
    assert detail == "Send one credential of these kinds: badge."


def test_get_jwt_has_nothing_to_return_for_another_credential(backend: Backend) -> None:
    """It is for access tokens."""
    backend.app.testing = True
    with pytest.raises(RuntimeError, match="jwt_required"):
        backend.client().get("/jwt", headers=BADGE)


@pytest.mark.parametrize(
    "credential",
    [
        ApiKeyCredential(lambda _: pytest.fail("called")),
        HmacSignature.github("hub", secrets=["x" * 16]),
    ],
    ids=lambda credential: credential.name,
)
def test_a_credential_that_is_absent_has_no_caller(credential: Credential) -> None:
    """Also if something other than the gate asks."""
    with Flask("host").test_request_context("/") as context:
        assert credential.authenticate(context.request) is None


class Returning(Badge):
    """A badge whose `authenticate` returns whatever a test gives it."""

    def __init__(self, returned: Any) -> None:
        """Take what it returns."""
        self.returned = returned

    def authenticate(self, request: Request) -> Caller | None:
        """Return it."""
        del request
        returned: Caller | None = self.returned
        return returned


NO_SCOPES: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    "returned",
    [
        True,
        "badge:1",
        {"user_id": "u"},
        Caller(None, NO_SCOPES),  # type: ignore[arg-type]  # as a program without types may
        Caller(5, NO_SCOPES),  # type: ignore[arg-type]
        Caller("", NO_SCOPES),
        Caller("x" * 129, NO_SCOPES),
        Caller("a\nb", NO_SCOPES),
        Caller("u", ["tea:pour"]),  # type: ignore[arg-type]
        Caller("u", "tea:pour"),  # type: ignore[arg-type]
        Caller("u", NO_SCOPES, auth_time=True),
        Caller("webhook:bank", NO_SCOPES),
        Caller("webhook", NO_SCOPES),
    ],
    ids=repr,
)
def test_what_is_no_caller_is_never_admitted(
    host: HostFactory, log_records: LogRecords, returned: Any
) -> None:
    """A fault of the credential is a 503, and the log says which."""
    response = (
        host(add_routes, credentials=[Returning(returned)]).client().get("/both", headers=BADGE)
    )
    assert (response.status_code, error_code(response)) == (503, "gate_unavailable")
    assert any("the credential 'badge' returned " in line for line in log_records.lines())


class Pass(Badge):
    """A second credential in the header of the badge, for one value of it."""

    name = "pass"

    def authenticate(self, request: Request) -> Caller | None:
        """Return the caller, without the name of the credential; None for other values."""
        return Caller("visitor", NO_SCOPES) if request.headers["X-Badge"] == "paper" else None


@pytest.mark.parametrize("credentials", [[Pass(), Badge()], [Badge(), Pass()]], ids=["1", "2"])
def test_of_two_credentials_in_one_header_the_one_that_knows_the_caller_decides(
    host: HostFactory, credentials: list[Credential]
) -> None:
    """Whether the other one raises, or says that there is none."""
    both = signed_in(by={"badge", "pass"})
    backend = host(
        lambda app: app.get("/")(both(lambda: current_caller().user_id)), credentials=credentials
    )
    texts = [backend.client().get("/", headers={"X-Badge": v}).text for v in ("good", "paper")]
    assert texts == ["robot", "visitor"]


def test_a_caller_has_the_name_of_the_credential_that_returned_it(host: HostFactory) -> None:
    """Also if it left the name out: it has no access token."""
    view = signed_in(by="pass")(lambda: current_caller().credential)
    backend = host(lambda app: app.get("/")(view), credentials=[Pass()])
    assert backend.client().get("/", headers={"X-Badge": "paper"}).text == "pass"


class BearerKey(Badge):
    """A key in the place of the access token."""

    name, scheme = "key", "Bearer"
    documentation: Mapping[str, Any] = {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
    }

    def is_present(self, request: Request) -> bool:
        """Return whether there is such a key."""
        return request.headers.get("Authorization", "").startswith("Bearer pk_")

    def authenticate(self, request: Request) -> Caller | None:
        """Return the caller."""
        del request
        return Caller("robot", NO_SCOPES, credential=self.name)


def test_a_key_of_an_application_may_stand_in_place_of_the_access_token(host: HostFactory) -> None:
    """One header is one credential, and the rule says which."""
    view = signed_in(by="key")(lambda: current_caller().user_id)
    backend = host(lambda app: app.get("/")(view), credentials=[BearerKey()])
    headers = {"Authorization": "Bearer pk_1"}
    assert backend.client().get("/", headers=headers).text == "robot"


@pytest.mark.parametrize("kind", ["oauth2", "openIdConnect"])
def test_a_token_of_another_issuer_may_stand_in_place_of_the_access_token(
    host: HostFactory, kind: str
) -> None:
    """Its documentation names the flows or the discovery, and not the header (RFC 6750)."""
    key = BearerKey()
    key.documentation = {"type": kind, "flows": {}, "openIdConnectUrl": "https://id.example/"}
    view = signed_in(by="key")(lambda: current_caller().user_id)
    backend = host(lambda app: app.get("/")(view), credentials=[key])
    headers = {"Authorization": "Bearer pk_1"}
    assert backend.client().get("/", headers=headers).text == "robot"


@pytest.mark.parametrize("user_id", ["7", "badge", "badge:7", "other:7", "é" * 128])
def test_a_credential_may_return_a_user_or_a_machine_of_its_own(
    host: HostFactory, user_id: str
) -> None:
    """With the id of a user, the request is one of that user."""
    badge = Returning(Caller(user_id, NO_SCOPES, credential="badge"))
    response = host(add_routes, credentials=[badge]).client().get("/both", headers=BADGE)
    assert response.status_code == 200


def test_an_unknown_credential_stops_the_boot(host: HostFactory) -> None:
    """S-002: a typing error would reject every request."""
    with pytest.raises(RulesInvalid, match="GET /badge accepts the unknown credential 'badge'"):
        AuthLayer.seal(host(add_routes).app)


def test_two_credentials_of_one_name_stop_the_boot(host: HostFactory) -> None:
    """A rule could not tell which it means."""
    with pytest.raises(ValueError, match="same name"):
        host(credentials=[Badge(), Badge()])


def test_a_rule_names_at_least_one_credential() -> None:
    """It would reject every request."""
    with pytest.raises(ValueError, match="names no credential"):
        signed_in(by=[])


def test_the_document_has_the_scheme_of_the_credential(backend: Backend) -> None:
    """S-080: as the application describes it."""
    AuthLayer.seal(backend.app)
    with backend.app.test_request_context():
        document = backend.app.extensions["flask-smorest"]["apis"]["ITEMSAPI_"]["ext_obj"].spec
    schemes = document.to_dict()["components"]["securitySchemes"]
    assert schemes["badge"] == Badge.documentation


@pytest.mark.parametrize(("path", "security"), [("/badge", [{"badge": ["tea:pour"]}]), ("/both", [{"bearer": []}, {"badge": []}])])  # fmt: skip  # noqa: E501 - as long as it is
def test_the_document_has_the_alternatives_of_each_operation(
    backend: Backend, path: str, security: list[dict[str, list[str]]]
) -> None:
    """S-080: those that the gate accepts."""
    with backend.app.test_request_context():
        document = backend.app.extensions["flask-smorest"]["apis"]["ITEMSAPI_"]["ext_obj"].spec
    assert document.to_dict()["paths"][path]["get"]["security"] == security


def test_a_request_of_another_credential_counts_for_its_caller(
    host: HostFactory, settings: Any
) -> None:
    """As with a token: one robot must not use up the limit of others at the address."""
    object.__setattr__(settings, "rate_limit", "2/hour")
    backend = host(add_routes, credentials=[Badge()])
    statuses = [backend.client().get("/badge", headers=BADGE).status_code for _ in range(3)]
    assert [*statuses, backend.client().get("/badge").status_code] == [200, 200, 429, 401]
