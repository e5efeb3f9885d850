"""A request made inside a view: each of the two has its own caller, before and afterwards."""

import functools
from collections.abc import Callable
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient
from flask_jwt_extended import get_jwt, get_jwt_identity
from werkzeug.test import Client

from itemsapi import current_caller, public, signed_in
from itemsapi.rest import Blueprint
from support.app_factory import Backend

pytestmark = pytest.mark.dialect("sqlite")


def call_client(client: FlaskClient, path: str) -> None:
    """Make the request as a test does."""
    client.get(path)


def call_wsgi(client: FlaskClient, path: str) -> None:
    """Make the request as a program does that knows WSGI only."""
    headers = {"Authorization": client.environ_base["HTTP_AUTHORIZATION"]}
    Client(client.application).get(path, headers=headers)


def dispatch(client: FlaskClient, path: str) -> None:
    """Dispatch the request by hand."""
    headers = {"Authorization": client.environ_base["HTTP_AUTHORIZATION"]}
    with client.application.test_request_context(path, headers=headers) as context:
        full: Any = client.application.full_dispatch_request
        full(*[context][: full.__code__.co_argcount - 1])


def copy_context(client: FlaskClient, _path: str) -> None:
    """Make no request, but use a copy of the context of this one, and leave it."""
    assert flask.copy_current_request_context(lambda: bool(client))()


WAYS: dict[str, Callable[[FlaskClient, str], None]] = {
    "a test client": call_client,
    "WSGI": call_wsgi,
    "by hand": dispatch,
    "a copy of the context": copy_context,
}


class Nesting:
    """Views that make a request as `inner`, if there is one, and then look who they serve."""

    inner: FlaskClient | None = None
    path = "/nesting/who"

    def __init__(self) -> None:
        """Make inner requests by a test client."""
        self.way = WAYS["a test client"]

    def blueprint(self) -> Blueprint:
        """Return the views."""
        blueprint = Blueprint("nesting", __name__, url_prefix="/nesting")
        views = {"outer": self.show_outer, "who": self.show_who, "failing": self.fail}
        for name, view in views.items():
            blueprint.add_url_rule(f"/{name}", name, signed_in(functools.partial(view)))
        blueprint.add_url_rule("/public", "public", public("a test")(lambda: ""))
        return blueprint

    def show_outer(self) -> dict[str, object]:
        """Make the inner request first."""
        assert self.inner is not None
        self.way(self.inner, self.path)
        return self.show_who()

    def show_who(self) -> dict[str, object]:
        """Respond with the ids that the layer and Flask-JWT-Extended know."""
        ids = [current_caller().user_id, get_jwt_identity(), get_jwt()["sub"]]
        return {"ids": sorted(set(map(str, ids)))}

    def fail(self) -> dict[str, object]:
        """Raise an error."""
        raise LookupError


@pytest.fixture
def nesting() -> Nesting:
    """The views."""
    return Nesting()


@pytest.fixture
def backend(make_backend: Callable[..., Backend], nesting: Nesting) -> Backend:
    """The Items API with these views, and eve who makes the inner request."""
    backend = make_backend(nesting.blueprint())
    nesting.inner = backend.signed_in_client("eve", "reader")
    return backend


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("path", ["/nesting/who", "/nesting/public", "/nowhere"])
def test_the_outer_view_keeps_its_caller_after_an_inner_request(
    backend: Backend, nesting: Nesting, way: str, path: str
) -> None:
    """Both share Flask's `g`, where Flask-JWT-Extended keeps the claims (S-001)."""
    ada = backend.signed_in_client("ada", "reader")
    own = ada.get("/nesting/who").get_json()
    nesting.way, nesting.path = WAYS[way], path
    assert ada.get("/nesting/outer").get_json() == own


def test_the_outer_view_keeps_its_caller_after_a_failed_inner_request(
    backend: Backend, nesting: Nesting
) -> None:
    """The request is over then, too (S-001)."""
    ada = backend.signed_in_client("ada", "reader")
    own, nesting.path = ada.get("/nesting/who").get_json(), "/nesting/failing"
    assert ada.get("/nesting/outer").get_json() == own


def test_no_claims_are_left_after_a_request(backend: Backend) -> None:
    """The application context around it may go on (S-001)."""
    ada = backend.signed_in_client("ada", "reader")
    with backend.app.app_context():
        ada.get("/nesting/who")
        assert not [name for name in flask.g if "jwt" in name]
