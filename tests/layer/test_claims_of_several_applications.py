"""One `AuthLayer` around several applications, with `@auth.claims` in the factory or beside it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from flask import Flask

from itemsapi import AuthLayer, current_caller, signed_in
from itemsapi.services import services_of
from itemsapi.settings import Settings
from itemsapi.testing import MovableClock, create_tables
from support.app_factory import Backend

Make = Callable[..., Backend]
Function = Callable[[str], Mapping[str, Any]]

pytestmark = pytest.mark.dialect("sqlite")


def returning(tenant: str) -> Function:
    """Return a function of `@auth.claims`."""
    return lambda _: {"tenant": tenant}


@pytest.fixture
def make(settings: Settings, clock: MovableClock) -> Iterator[Make]:
    """Make an application as a factory does: `make(auth, function)`; all have one database."""
    made: list[Backend] = []

    def create(auth: AuthLayer, function: Function | None = None) -> Backend:
        app = Flask("shop", static_folder=None)
        auth.init_app(app, settings=settings, clock=clock)
        if function is not None:
            auth.claims(function)
        app.get("/tenant")(signed_in(lambda: [current_caller().claims.get("tenant")]))
        made.append(Backend(app, services_of(app), clock))
        return made[-1]

    yield create
    for backend in made:
        backend.services.database.dispose()


def tenants(*backends: Backend) -> list[str]:
    """Return the claim in a new token of each application."""
    create_tables(backends[0].app)
    backends[0].create_user("ada")
    found = []
    for backend in backends:
        client = backend.bearer_client(backend.login("ada")["access_token"])
        found += client.get("/tenant").get_json()
    return found


def test_each_application_has_the_function_that_its_factory_registers(make: Make) -> None:
    """The first one keeps its own: tenants are not mixed."""
    auth = AuthLayer()
    first, second = make(auth, returning("acme")), make(auth, returning("globex"))
    assert tenants(first, second) == ["acme", "globex"]


def test_a_function_that_is_registered_before_all_applications_is_for_all(make: Make) -> None:
    """As in a module of extensions."""
    auth = AuthLayer()
    auth.claims(returning("acme"))
    assert tenants(make(auth), make(auth)) == ["acme", "acme"]


def test_a_later_application_has_the_function_of_a_module_that_is_imported_once(
    make: Make,
) -> None:
    """The factory of the first one imported it, and no import runs it again."""
    auth = AuthLayer()
    assert tenants(make(auth, returning("acme")), make(auth)) == ["acme", "acme"]


def test_a_function_is_for_all_applications_that_have_none(make: Make) -> None:
    """Both were made before it was registered."""
    auth = AuthLayer()
    first, second = make(auth), make(auth)
    auth.claims(returning("acme"))
    assert tenants(first, second) == ["acme", "acme"]


@pytest.mark.parametrize("when", ["before all", "in the factory"])
def test_a_second_function_of_an_application_stops_the_boot(make: Make, when: str) -> None:
    """One of the two would silently have no effect."""
    auth = AuthLayer()
    if when == "before all":
        auth.claims(returning("acme"))
        make(auth)
    else:
        make(auth, returning("acme"))
    with pytest.raises(ValueError, match="already is a function"):
        auth.claims(returning("globex"))
