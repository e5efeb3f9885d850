"""`assert_every_rule_is_enforced` finds faults of `by=`, API keys and credentials of your own."""

import hashlib
import hmac
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Request
from sqlalchemy import select

from itemsapi import Caller, HmacSignature, requires
from itemsapi.extension import AuthLayer, gate_of
from itemsapi.gate.api_keys import ApiKeyCredential
from itemsapi.gate.credentials import Credential, Credentials
from itemsapi.gate.rules import Rule
from itemsapi.issuer.api_key_lookup import KeyOwner
from itemsapi.problems import ApiKeyInvalid, Challenge
from itemsapi.services import services_of
from itemsapi.testing import (
    RulesNotEnforced,
    assert_every_rule_is_enforced,
    close_database,
    create_tables,
    testing_settings,
)
from itemsapi.tokens.api_keys import ApiKey, hash_api_key
from itemsapi.tokens.scopes import parse_scopes
from support.boot import make_view
from support.plain_host import ORDERS_READ

PARTNER_KEY = "a key that both sides know"
SECRET = "whsec_shared_with_the_bank"
PARTNER = {"Authorization": f"Partner {PARTNER_KEY}"}
ROUTES = {
    "orders": {"access_token"},
    "export": {"access_token", "api_key"},
    "partner": {"partner"},
    "bank": {"bank"},
}
METHODS = {"bank": "POST"}
_keys = ApiKey.core()


class PartnerKeyInvalid(Challenge):
    """The key of the partner is wrong."""

    code, title, advice = "invalid_partner_key", "The key is wrong", "Check the key."


class Partner:
    """A credential of an application; `accepts` decides about a key."""

    name, scheme = "partner", "Partner"
    documentation: Mapping[str, Any] = {"type": "http", "scheme": "partner"}

    def __init__(self, accepts: Callable[[str], bool] = PARTNER_KEY.__eq__) -> None:
        self._accepts = accepts

    def is_present(self, request: Request) -> bool:
        """Return whether the scheme is that of the partner."""
        return request.headers.get("Authorization", "").startswith("Partner")

    def authenticate(self, request: Request) -> Caller:
        """Return the partner; raise `PartnerKeyInvalid` for a wrong key."""
        header = request.headers.get("Authorization", "")
        if not self._accepts(header.removeprefix("Partner").strip()):
            raise PartnerKeyInvalid
        return Caller("partner", frozenset({"orders:read"}), credential=self.name)


class AlwaysPresent(Partner):
    """A credential that takes each request for one of the partner."""

    def is_present(self, request: Request) -> bool:
        """Return True."""
        del request
        return True


BuildShop = Callable[..., Flask]


@pytest.fixture
def build_shop(tmp_path: Path) -> Iterator[BuildShop]:
    """Build applications with routes for an access token, an API key, and a partner."""
    apps = []

    def build(partner: Partner | None = None) -> Flask:
        app = Flask("shop", static_folder=None)
        bank = HmacSignature.stripe("bank", secrets=[SECRET], scopes=[ORDERS_READ])
        credentials: list[Credential] = [partner or Partner(), bank]
        settings = testing_settings(tmp_path)
        AuthLayer(app, settings=settings, include={"api_keys"}, credentials=credentials)
        for name, by in ROUTES.items():
            view, method = requires(ORDERS_READ, by=by)(make_view()), METHODS.get(name, "GET")
            app.add_url_rule(f"/{name}", name, view, methods=[method])
        create_tables(app)
        apps.append(app)
        return app

    yield build
    for app in apps:
        close_database(app)


def signed_by_the_bank() -> dict[str, str]:
    """Return the header of a delivery without a body, as Stripe signs it."""
    now = int(time.time())
    signature = hmac.new(SECRET.encode(), f"{now}.".encode(), hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={now},v1={signature}"}


def attack(app: Flask, **options: Any) -> set[tuple[str, str]]:
    """Attack an application that has a fault; return the routes and attacks that failed."""
    given = {"partner": PARTNER, "bank": signed_by_the_bank()}
    with pytest.raises(RulesNotEnforced) as error:
        assert_every_rule_is_enforced(app, credentials=given, **options)
    return {(failure.route, failure.attack) for failure in error.value.report.failures}


def test_every_credential_of_a_rule_is_tried(build_shop: BuildShop) -> None:
    """API keys are made, those of the application are given by the test; nothing is left."""
    given = {"partner": PARTNER, "bank": signed_by_the_bank()}
    report = assert_every_rule_is_enforced(build_shop(), credentials=given)
    assert (report.not_tried, report.admitted) == ((), len(report.guarded))


def test_a_credential_that_no_test_gives_is_not_tried(build_shop: BuildShop) -> None:
    """The report names the routes that are left to another test."""
    report = assert_every_rule_is_enforced(build_shop())
    expected = {"GET /partner by partner", "HEAD /partner by partner", "POST /bank by bank"}
    assert set(report.not_tried) == expected


def test_a_credential_that_the_application_does_not_have_is_an_error(build_shop: BuildShop) -> None:
    """A misspelled name would leave the credential out."""
    with pytest.raises(ValueError, match="parter is no credential of shop; it has api_key, bank,"):
        assert_every_rule_is_enforced(build_shop(), credentials={"parter": PARTNER})


class IgnoresBy(Credentials):
    """A gate that accepts every credential it knows, whatever the rule names."""

    def authenticate(self, request: Request, rule: Rule) -> Caller | None:
        """Accept the credential of a request."""
        del rule
        return super().authenticate(request, Rule("signed in", by=self.names))


@pytest.mark.parametrize(
    ("route", "name"),
    [
        ("GET /orders", "api_key"),
        ("GET /orders", "partner"),
        ("GET /export", "bank"),
        ("GET /partner", "access_token"),
        ("POST /bank", "partner"),
    ],
)
def test_a_gate_that_ignores_by_is_found(build_shop: BuildShop, route: str, name: str) -> None:
    """By a valid credential that the rule does not name."""
    app = build_shop()
    AuthLayer.seal(app)
    gate = gate_of(app)
    gate.credentials = IgnoresBy(gate.credentials._access_token, gate.credentials.others)  # noqa: SLF001 - the fault
    assert (route, f"{name}, which the rule does not name") in attack(app)


class TakesTheFirst(Credentials):
    """A gate that looks at one credential of a request with two."""

    def authenticate(self, request: Request, rule: Rule) -> Caller | None:
        """Accept the access token, without a look at the others."""
        if request.headers.get("Authorization", "").startswith("Bearer ey"):
            return self._access_token.authenticate(request)
        return super().authenticate(request, rule)


def test_a_gate_that_accepts_two_credentials_is_found(build_shop: BuildShop) -> None:
    """What a proxy adds must not decide who the caller is (S-011)."""
    app = build_shop()
    AuthLayer.seal(app)
    gate = gate_of(app)
    gate.credentials = TakesTheFirst(gate.credentials._access_token, gate.credentials.others)  # noqa: SLF001 - the fault
    assert ("GET /orders", "bank and an access token") in attack(app)


@pytest.mark.parametrize(
    ("partner", "defect"),
    [
        (Partner(PARTNER_KEY.startswith), "empty"),
        (Partner(lambda key: key[:5] == PARTNER_KEY[:5]), "cut"),
        (Partner(lambda key: key.startswith(PARTNER_KEY)), "longer"),
        (Partner(lambda key: len(key) == len(PARTNER_KEY)), "changed"),
    ],
    ids=["prefix of the key", "five letters", "begins with the key", "length"],
)
def test_a_credential_that_admits_too_much_is_found(
    build_shop: BuildShop, partner: Partner, defect: str
) -> None:
    """By the key of the test with one change."""
    failures = attack(build_shop(partner))
    assert ("GET /partner", f"partner, Authorization {defect}") in failures


def test_a_credential_that_admits_everybody_is_found(build_shop: BuildShop) -> None:
    """Without the key, too."""
    partner = AlwaysPresent(lambda _: True)
    assert ("GET /partner", "no credential") in attack(build_shop(partner))


def test_a_given_credential_that_is_refused_is_found(build_shop: BuildShop) -> None:
    """A gate that refuses everybody is no success."""
    partner = Partner(lambda _: False)
    assert ("GET /partner", "what the rule requires by partner") in attack(build_shop(partner))


def test_an_object_check_that_admits_strangers_is_found_by_api_key(build_shop: BuildShop) -> None:
    """The route accepts no access token (S-081)."""
    app = build_shop()
    view = requires(ORDERS_READ, by="api_key", on=lambda number: number > 0)(make_view())
    app.add_url_rule("/orders/<int:number>", "order", view)
    assert ("GET /orders/<int:number>", "another user's object, by API key") in attack(app)


# Faults of the look-up of API keys.

Lookup = Callable[[Flask, str], Any]


def find(app: Flask, *conditions: Any) -> KeyOwner:
    """Return the owner in the first row that meets the conditions, without any check."""
    with services_of(app).database.reading() as connection:
        row = connection.execute(select(_keys).where(*conditions)).first()
    if row is None:
        raise ApiKeyInvalid
    return KeyOwner(row.user_id, parse_scopes(row.scopes))


def without_checks(app: Flask, key: str) -> KeyOwner:
    """Accept each key that was ever made, with all scopes of its row."""
    return find(app, _keys.c.hash == hash_api_key(key))


def by_beginning(app: Flask, key: str) -> KeyOwner:
    """Accept what begins as a valid key does."""
    return find(app, _keys.c.shown == key[:10])


def any_text(app: Flask, key: str) -> KeyOwner:
    """Accept any text, the empty one too."""
    return find(app, _keys.c.shown.startswith(key[:4]))


def plant(app: Flask, lookup: Lookup) -> None:
    """Replace what finds the owner of a key."""
    AuthLayer.seal(app)
    (credential,) = (c for c in gate_of(app).credentials.others if isinstance(c, ApiKeyCredential))
    credential._find_owner = lambda key: lookup(app, key)  # noqa: SLF001 - the fault


@pytest.mark.parametrize(
    ("lookup", "defects"),
    [
        (without_checks, {"expired", "revoked", "of a disabled user", "its user lost all scopes"}),
        (by_beginning, {"cut", "longer", "the beginning of one"}),
        (any_text, {"empty", "unknown"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_fault_of_the_api_keys_is_found(
    build_shop: BuildShop, lookup: Lookup, defects: set[str]
) -> None:
    """By the keys that it accepts."""
    app = build_shop()
    plant(app, lookup)
    expected = {("GET /export", f"API key, {defect}") for defect in defects}
    assert expected <= attack(app)


def test_an_api_key_with_too_few_scopes_is_found(build_shop: BuildShop) -> None:
    """A look-up that takes the scopes of the user for those of the key."""
    app = build_shop()
    plant(app, lambda app, key: KeyOwner(without_checks(app, key).user_id, every_scope(app)))
    assert ("GET /export", "API key without orders:read") in attack(app)


def every_scope(app: Flask) -> frozenset[str]:
    """Return the names of all scopes."""
    return frozenset(services_of(app).scopes())


class HeaderKey(ApiKeyCredential):
    """An API key that is accepted in a header and in the query as well."""

    def is_present(self, request: Request) -> bool:
        """Return whether there is a key anywhere."""
        return super().is_present(request) or bool(self._elsewhere(request))

    def authenticate(self, request: Request) -> Caller | None:
        """Accept the key wherever it is."""
        key = self._elsewhere(request)
        if key is None:
            return super().authenticate(request)
        return Caller(self._find_owner(key).user_id, self._find_owner(key).scopes)

    def _elsewhere(self, request: Request) -> str | None:
        return request.headers.get("X-API-Key") or request.args.get("api_key")


@pytest.mark.parametrize("place", ["X-API-Key", "the query"])
def test_an_api_key_in_another_place_is_found(build_shop: BuildShop, place: str) -> None:
    """A URL is logged, and a header of its own is no secret to a proxy."""
    app = build_shop()
    AuthLayer.seal(app)
    gate = gate_of(app)
    others = [
        HeaderKey(c._find_owner) if isinstance(c, ApiKeyCredential) else c  # noqa: SLF001 - the fault
        for c in gate.credentials.others
    ]
    gate.credentials = Credentials(gate.credentials._access_token, others)  # noqa: SLF001 - as above
    assert ("GET /export", f"API key in {place}") in attack(app)
