"""Object checks of rules (`on=`): 404 for the objects of others, and nothing opens by mistake."""

import asyncio
from typing import Any

import pytest
from flask import Flask, abort, request

from itemsapi import Scope, current_caller, public, requires, signed_in
from itemsapi.extension import AuthLayer
from itemsapi.gate.object_check import ObjectCheck
from itemsapi.gate.rulebook import RulesInvalid
from itemsapi.problems import DatabaseUnavailable, NotFound
from itemsapi.tokens.scopes import ITEMS_READ
from support.app_factory import Backend
from support.host import HostFactory
from support.log_records import LogRecords
from support.tokens import error_code

pytestmark = pytest.mark.dialect("sqlite")  # the gate does not depend on the database

ORDERS = Scope("items:read", "See your items")
OWNERS: dict[int, str] = {}
calls: list[str] = []


def owns_order(order_id: int) -> bool:
    """Return whether the order is the caller's."""
    calls.append("check")
    return OWNERS.get(order_id) == current_caller().user_id


async def owns_later(order_id: int) -> bool:
    """Return the same, later."""
    await asyncio.sleep(0)
    return owns_order(order_id)


def forgets_to_return(order_id: int) -> bool:  # type: ignore[empty-body]  # that is the point
    """Return nothing."""


class Careless:
    """A check that Flask does not recognize as asynchronous."""

    async def __call__(self, order_id: int) -> bool:
        """Return a coroutine, which is true in the sense of `if`."""
        return owns_order(order_id)


def add_routes(app: Flask) -> None:
    """Add routes with checks."""
    checks: dict[str, Any] = {
        "orders": owns_order, "later": owns_later, "nothing": forgets_to_return,
        "careless": Careless(),
    }  # fmt: skip
    for name, check in checks.items():

        def view(order_id: int, name: str = name) -> dict[str, object]:
            calls.append(f"view {name}")
            return {"order": order_id}

        rule = f"/{name}/<int:order_id>"
        app.add_url_rule(rule, name, requires(ITEMS_READ, on=check)(view))


@pytest.fixture
def backend(host: HostFactory) -> Backend:
    """A host with the routes, and no orders."""
    OWNERS.clear()
    calls.clear()
    return host(add_routes)


def test_a_caller_reaches_an_object_of_their_own(backend: Backend) -> None:
    """The check runs before the view."""
    ada = backend.signed_in_client("ada", "member")
    OWNERS[7] = backend.services.users.get_by_name("ada").id
    assert ada.get("/orders/7").get_json() == {"order": 7}
    assert calls == ["check", "view orders"]


def test_an_object_of_another_user_does_not_exist(backend: Backend) -> None:
    """S-081: the same response as for one that does not exist, but for the id of the request."""
    ada = backend.signed_in_client("ada", "member")
    OWNERS[7] = "eve"
    foreign, missing = (ada.get(f"/orders/{number}").get_json() for number in (7, 8))
    assert foreign | {"request_id": ""} == missing | {"request_id": ""}
    assert (foreign["code"], calls) == ("not_found", ["check", "check"])


def test_the_scopes_are_checked_first(backend: Backend) -> None:
    """S-009: a caller without them learns nothing, and causes no query."""
    client = backend.signed_in_client("nobody")
    assert (error_code(client.get("/orders/7")), calls) == ("insufficient_scope", [])


def test_head_is_checked_as_get(backend: Backend) -> None:
    """S-081."""
    assert backend.signed_in_client("ada", "member").head("/orders/7").status_code == 404


def test_an_asynchronous_check_is_awaited(backend: Backend) -> None:
    """Both outcomes."""
    ada = backend.signed_in_client("ada", "member")
    OWNERS[7] = backend.services.users.get_by_name("ada").id
    assert [ada.get(f"/later/{number}").status_code for number in (7, 8)] == [200, 404]


@pytest.mark.parametrize("name", ["nothing", "careless"])
def test_a_check_that_returns_no_bool_opens_nothing(backend: Backend, name: str) -> None:
    """S-003: a forgotten `return` or `await` is a fault, and the view does not run."""
    response = backend.signed_in_client("ada", "member").get(f"/{name}/7")
    assert (error_code(response), calls) == ("gate_unavailable", [])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RuntimeError("secret"), "gate_unavailable"),
        (ZeroDivisionError(), "gate_unavailable"),
        (DatabaseUnavailable(), "database_unavailable"),
        (NotFound(), "not_found"),
    ],
)
def test_a_check_that_fails_opens_nothing(
    host: HostFactory, error: Exception, code: str, log_records: LogRecords
) -> None:
    """S-003: 503, or 404 if the check says so itself."""

    def fail(order_id: int) -> bool:
        raise error

    backend = host(lambda app: app.get("/<int:order_id>")(signed_in(on=fail)(lambda **_: "open")))
    response = backend.signed_in_client("ada").get("/7")
    assert (error_code(response), "secret" in response.text) == (code, False)
    assert ("RuntimeError" in "\n".join(log_records.lines())) == isinstance(error, RuntimeError)


def test_a_check_may_abort_with_404(host: HostFactory) -> None:
    """As `get_or_404` of Flask-SQLAlchemy does."""

    def check(order_id: int) -> bool:
        abort(404)

    backend = host(lambda app: app.get("/<int:order_id>")(signed_in(on=check)(lambda **_: "open")))
    assert error_code(backend.signed_in_client("ada").get("/7")) == "not_found"


def test_the_check_gets_the_arguments_of_the_view(host: HostFactory) -> None:
    """A hook that changes them changes both: what is checked is what the view gets."""

    def is_seven(order_id: int) -> bool:
        return order_id == 7

    def add(app: Flask) -> None:
        @app.before_request
        def change() -> None:
            if request.view_args and "change" in request.args:
                request.view_args["order_id"] = 8

        app.get("/<int:order_id>")(signed_in(on=is_seven)(lambda order_id: f"{order_id}"))

    ada = host(add).signed_in_client("ada")
    assert [ada.get(path).status_code for path in ("/7", "/7?change")] == [200, 404]


def test_the_check_gets_the_arguments_that_it_names(host: HostFactory) -> None:
    """One check serves routes with different arguments."""

    def is_seven(order_id: int) -> bool:
        return order_id == 7

    def add(app: Flask) -> None:
        rule = "/<shop>/<int:order_id>"
        app.get(rule)(signed_in(on=is_seven)(lambda shop, order_id: [shop, order_id]))

    response = host(add).signed_in_client("ada").get("/tea/7")
    assert response.get_json() == ["tea", 7]


def test_no_handler_of_the_host_renders_the_refusal_anew(host: HostFactory) -> None:
    """As all refusals of the gate."""

    def add(app: Flask) -> None:
        add_routes(app)
        app.register_error_handler(404, lambda _: "a page of the host")
        app.register_error_handler(Exception, lambda _: "a page of the host")

    assert error_code(host(add).signed_in_client("ada", "member").get("/orders/7")) == "not_found"


def test_a_check_of_an_argument_that_the_route_lacks_stops_the_boot(host: HostFactory) -> None:
    """It could not be called (S-002)."""
    app = host(lambda app: app.get("/orders")(signed_in(on=owns_order)(lambda: ""))).app
    with pytest.raises(RulesInvalid, match="no argument 'order_id', which on=owns_order takes"):
        AuthLayer.seal(app)


@pytest.mark.parametrize(
    "check",
    [lambda *ids: bool(ids), lambda order_id, /: bool(order_id)],
    ids=["any number", "by position"],
)
def test_a_check_takes_its_arguments_by_name(check: Any) -> None:
    """The view gets them by name, too."""
    with pytest.raises(TypeError, match="by name"):
        ObjectCheck(check)


def test_the_rulebook_tells_which_objects_have_no_check(host: HostFactory) -> None:
    """A note for the review, no fault: the view may look among the objects of the caller."""

    def add(app: Flask) -> None:
        add_routes(app)
        app.get("/bills/<int:number>")(signed_in(lambda number: f"{number}"))
        app.add_url_rule("/news/<int:number>", "news", public("news")(lambda number: f"{number}"))

    matrix = AuthLayer.seal(host(add).app).matrix()
    unchecked = {entry.path for entry in matrix if entry.has_unchecked_object}
    assert unchecked == {"/auth/sessions/<id:session_id>", "/bills/<int:number>"}


def test_the_matrix_names_the_check(backend: Backend) -> None:
    """As `itemsapi access` shows it."""
    matrix = AuthLayer.seal(backend.app).matrix()
    (rule,) = {str(entry.rule) for entry in matrix if entry.path == "/orders/<int:order_id>"}
    assert rule == "items:read, on owns_order"
