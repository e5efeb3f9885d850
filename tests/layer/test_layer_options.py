"""Mistakes in the use of the layer: each is refused with a line that says what to do."""

from base64 import b64encode
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from itemsapi import AuthLayer, HmacSignature, current_database, public, requires, signed_in
from itemsapi.gate.rules import Rule
from itemsapi.gate.wsgi_guard import WsgiGuard
from itemsapi.services import services_of
from itemsapi.settings import Settings, SettingsError
from itemsapi.testing import MovableClock

pytestmark = pytest.mark.dialect("sqlite")


@pytest.mark.parametrize(
    ("include", "message"),
    [
        ({"operator"}, "has no part 'operator'; the parts are api_keys, console, docs"),
        ((part for part in ["docs"]), r"include= is no list; write include=\[\.\.\.\]"),
        ("docs", r"include='docs' is a string; write include=\{'docs'\}"),
    ],
)
def test_an_unknown_part_is_refused(include: Any, message: str) -> None:
    """Otherwise its endpoints would silently be missing."""
    with pytest.raises((ValueError, TypeError), match=message):
        AuthLayer(include=include)


@pytest.mark.parametrize("use", [AuthLayer.seal, lambda _: AuthLayer.transaction().__enter__()])
def test_an_application_without_the_layer_is_named(use: Any) -> None:
    """The message says what to write."""
    app = Flask("shop")
    message = r"shop has no AuthLayer; write AuthLayer\(app\)"
    with app.app_context(), pytest.raises(RuntimeError, match=message):
        use(app)


def test_the_database_of_an_application_without_the_layer_is_an_error_that_says_so() -> None:
    """As the transaction is."""
    with Flask("shop").app_context(), pytest.raises(RuntimeError, match="shop has no AuthLayer"):
        current_database()


def guard(auth: AuthLayer, **options: Any) -> WsgiGuard:
    """Guard a WSGI application."""
    return auth.wsgi_guard(lambda _environ, _start: [b""], signed_in, **options)


def test_a_guard_before_the_layer_has_an_application_is_refused() -> None:
    """It would have no gate."""
    with pytest.raises(RuntimeError, match=r"call auth\.init_app"):
        guard(AuthLayer())


def test_a_guard_of_one_of_several_applications_needs_its_name(settings: Settings) -> None:
    """Otherwise the gate of the last one would check the requests of the first."""
    auth = AuthLayer(settings=settings)
    for name in ("first", "second"):
        auth.init_app(Flask(name))
    with pytest.raises(RuntimeError, match=r"several applications; write .*app=app"):
        guard(auth)


def test_a_guard_belongs_to_the_application_that_it_is_given(settings: Settings) -> None:
    """The scopes of its rule are known there."""
    auth, apps = AuthLayer(settings=settings), [Flask("first"), Flask("second")]
    for app in apps:
        auth.init_app(app)
    assert guard(auth, app=apps[0])._app is apps[0]  # noqa: SLF001 - a guard shows it nowhere


@pytest.mark.parametrize("within", ["5m", 300, timedelta(minutes=5)])
def test_the_age_of_a_sign_in_is_a_text_or_a_number_or_a_duration(within: Any) -> None:
    """All mean the same (S-187)."""
    rules = getattr(signed_in(within=within)(lambda: ""), "__itemsapi_rules__", ())
    assert rules == (Rule("signed in", within_seconds=300),)


@pytest.mark.parametrize("within", ["soon", -1, 1.5, True, timedelta(seconds=1.5), timedelta(-1)])
def test_an_age_that_is_none_is_refused(within: Any) -> None:
    """The message names the option."""
    with pytest.raises(ValueError, match=r"^within="):
        requires("orders:read", within=within)


@pytest.mark.parametrize("name", ["", "Partner", "a b", "9", "a" * 41])
def test_a_name_that_no_credential_can_have_is_refused(settings: Settings, name: str) -> None:
    """It stands in rules, in the document and in the log, whoever wrote the credential."""

    class Partner:
        scheme, documentation = "Partner", {"type": "apiKey"}
        is_present = authenticate = staticmethod(lambda _request: None)

    partner: Any = Partner()
    partner.name = name
    with pytest.raises(ValueError, match="no name of a credential"):
        AuthLayer(Flask("shop"), credentials=[partner], settings=settings)


SECRET = "a secret of the bank"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scopes": "orders:pay"}, r"scopes='orders:pay' is a text; write scopes=\['orders:pay'\]"),
        ({"scopes": ["pay"]}, "'pay' is not a scope; write resource:action"),
        ({"scopes": [None]}, "NoneType is no scope"),
        ({"secrets": SECRET}, r"bank takes a list of secrets; write secrets=\[SECRET\]"),
        ({"secrets": SECRET.encode()}, "takes a list of secrets"),
        ({"secrets": None}, "takes a list of secrets"),
        ({"secrets": [None]}, "bank has NoneType in place of a secret; is a variable not set"),
        ({"secrets": []}, "needs secrets of 16 bytes or more"),
    ],
)
@pytest.mark.parametrize("preset", ["github", "stripe", "standard_webhooks"])
def test_a_webhook_that_cannot_be_verified_is_refused(
    preset: str, options: dict[str, Any], message: str
) -> None:
    """At the start, and not by each request; the message shows no secret (S-150)."""
    make = getattr(HmacSignature, preset)
    good = {"secrets": ["whsec_" + b64encode(SECRET.encode()).decode()]}
    with pytest.raises((TypeError, ValueError), match=message) as raised:
        make("bank", **good | options)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("preset", ["github", "stripe", "standard_webhooks"])
@pytest.mark.parametrize("as_bytes", [False, True])
def test_a_secret_is_text_or_bytes(preset: str, *, as_bytes: bool) -> None:
    """For each format the same."""
    secret = "whsec_" + b64encode(SECRET.encode()).decode()
    webhook = getattr(HmacSignature, preset)(
        "bank", secrets=[secret.encode() if as_bytes else secret]
    )
    assert webhook.name == "bank"


@pytest.mark.parametrize(
    ("scopes", "message"),
    [
        (("a b",), "'a b' is not a scope; write resource:action"),
        (("",), "'' is not a scope"),
        (("admin",), "'admin' is not a scope"),
        ((["orders:read"],), "a list is no scope"),
        ((), "names no scope; use @signed_in"),
    ],
)
def test_a_rule_of_no_scope_is_refused(scopes: Any, message: str) -> None:
    """Where it is written: no `Scope` can declare it (S-002)."""
    with pytest.raises((TypeError, ValueError), match=message):
        requires(*scopes)


@pytest.mark.parametrize("by", [(), None, "", [None], 0], ids=repr)
def test_a_rule_by_no_credential_is_refused(by: Any) -> None:
    """It could only be refused to everybody."""
    with pytest.raises(ValueError, match=r"^by=.* names no credential; leave it out"):
        signed_in(by=by)


def test_one_credential_may_be_named_without_a_list() -> None:
    """Its letters are no names."""
    rules = getattr(signed_in(by="api_key")(lambda: ""), "__itemsapi_rules__", ())
    assert rules == (Rule("signed in", by=frozenset({"api_key"})),)


@pytest.mark.parametrize("check", [True, "owns_order", 5])
def test_an_object_check_that_is_no_function_is_refused(check: Any) -> None:
    """As after `on=owns_order()`, with parentheses."""
    with pytest.raises(TypeError, match=r"^on=.* is no function; pass the function itself"):
        signed_in(on=check)


def test_a_method_that_is_bound_takes_no_rule() -> None:
    """A rule is an attribute, which it cannot have."""
    with pytest.raises(TypeError, match="takes no rule; decorate a function"):
        signed_in("text".upper)


class Badge:
    """A credential that finds nobody."""

    name, scheme, documentation = "badge", "Badge", {"type": "apiKey"}
    is_present = authenticate = staticmethod(lambda _request: None)


@pytest.mark.parametrize(
    ("credentials", "message"),
    [
        (Badge(), r"credentials= is no list; write credentials=\[\.\.\.\]"),
        ("badge", "credentials= is no list"),
        ([Badge], r"credentials= has the class Badge; write Badge\(\.\.\.\)"),
        (["badge"], "credentials= has an object of the type str, which has no 'name'"),
    ],
)
def test_an_object_that_is_no_credential_is_refused(
    settings: Settings, credentials: Any, message: str
) -> None:
    """It would make each request a 503."""
    with pytest.raises(TypeError, match=message):
        AuthLayer(Flask("shop"), credentials=credentials, settings=settings)


@pytest.mark.parametrize(
    ("name", "advice"),
    [("api_key", r"add it by include=\['api_keys'\]"), ("bank", r"add it by credentials=\[")],
)
def test_a_rule_by_a_credential_that_is_not_there_says_how_to_add_it(
    settings: Settings, name: str, advice: str
) -> None:
    """For the layer's own another option than for others (S-002)."""
    app = Flask("shop", static_folder=None)
    AuthLayer(app, settings=settings)
    app.add_url_rule("/", "home", signed_in(by={name})(lambda: ""))
    with pytest.raises(
        RuntimeError, match=f"credential '{name}'; known are access_token; {advice}"
    ):
        AuthLayer.seal(app)


@pytest.mark.parametrize("path", ["/api", "/shop/api", "/api/"])
def test_a_prefix_that_the_public_url_has_too_is_refused(settings: Settings, path: str) -> None:
    """The metadata would name `/api/api/auth/login`, where nothing is."""
    own = replace(settings, public_url=f"https://shop.example{path}")
    message = r"ITEMSAPI_PUBLIC_URL ends with /api, and url_prefix='/api' adds it again"
    with pytest.raises(SettingsError, match=message):
        AuthLayer(Flask("shop"), settings=own, url_prefix="/api")


def test_a_prefix_below_another_path_is_none_of_the_public_url(settings: Settings) -> None:
    """A proxy adds the first."""
    own = replace(settings, public_url="https://shop.example/myapi")
    AuthLayer(Flask("shop"), settings=own, url_prefix="/api")
    assert own.public_url == "https://shop.example/myapi"


# A layer that a module of extensions makes, and a factory puts around its application.


def test_a_factory_gives_the_layer_what_it_knows(settings: Settings, clock: MovableClock) -> None:
    """The rules, the settings and the clock; the rest is as the layer was made."""
    app, auth = Flask("shop"), AuthLayer(include=["health"])
    auth.init_app(app, rules={"static": public("files")}, settings=settings, clock=clock)
    auth.seal(app)
    assert services_of(app).clock is clock
    assert (services_of(app).settings, "itemsapi.health" in app.blueprints) == (settings, True)


def test_the_users_of_one_factory_are_not_those_of_another(settings: Settings) -> None:
    """As in a test that makes an application for each case."""
    auth, apps = AuthLayer(settings=settings), [Flask("first"), Flask("second")]
    auth.init_app(apps[0], users=NoUsers())
    auth.init_app(apps[1])
    assert [services_of(app).has_layer_users for app in apps] == [False, True]


def test_users_that_a_factory_gives_beside_operators_are_refused(settings: Settings) -> None:
    """As those that the constructor gets."""
    auth = AuthLayer(settings=settings, include=["operators"])
    with pytest.raises(ValueError, match="works on the layer's own users"):
        auth.init_app(Flask("shop"), users=NoUsers())


class NoUsers:
    """Users of an application that has none."""

    read_only = True

    def find_by_name(self, username: str) -> None:
        """Find nobody."""

    def find_by_id(self, user_id: str) -> None:
        """Find nobody."""

    def scopes(self, user_id: str) -> list[str]:
        """Return no scope."""
        return [user_id] * 0

    def replace_password_hash(self, user_id: str, old: str, new: str) -> bool:
        """Replace nothing."""
        return bool(user_id) and old == new
