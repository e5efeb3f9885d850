"""Mistakes in the use of the layer: each is refused with a line that says what to do."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from itemsapi import AuthLayer, current_database, requires, signed_in
from itemsapi.gate.rules import Rule
from itemsapi.gate.wsgi_guard import WsgiGuard
from itemsapi.settings import Settings

pytestmark = pytest.mark.dialect("sqlite")


@pytest.mark.parametrize(
    ("include", "message"),
    [
        ({"operator"}, "has no part 'operator'; the parts are api_keys, console, docs"),
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
