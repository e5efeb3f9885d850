"""A request made inside a view: each of the two has its own caller, before and afterwards."""

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient
from flask_jwt_extended import get_jwt, get_jwt_identity
from werkzeug.test import Client

from itemsapi import current_caller, public, signed_in
from itemsapi.gate.caller import optional_caller
from itemsapi.rest import Blueprint
from itemsapi.tokens.claims import Claims
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


def push_context(client: FlaskClient, path: str) -> None:
    """Push a context that is never dispatched, as for `url_for` in a mail."""
    with client.application.test_request_context(path):
        assert flask.url_for("nesting.who", _external=True)


WAYS: dict[str, Callable[[FlaskClient, str], None]] = {
    "a test client": call_client,
    "WSGI": call_wsgi,
    "by hand": dispatch,
    "a copy of the context": copy_context,
    "a context that is never dispatched": push_context,
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
        views: dict[str, Callable[[], Any]] = {
            "outer": self.show_outer,
            "who": self.show_who,
            "failing": self.fail,
            "caller": self.show_caller,
            "stream": self.stream_who,
            "outer-stream": self.show_stream,
        }
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

    def stream_who(self) -> flask.Response:
        """Respond with the same ids, which the server reads when the request is over."""

        def rows() -> Iterator[str]:
            yield ""
            yield flask.json.dumps(self.show_who())

        return flask.Response(flask.stream_with_context(rows()), mimetype="application/json")

    def show_caller(self) -> dict[str, str]:
        """Respond without asking for claims."""
        return {"id": current_caller().user_id}

    def show_stream(self) -> dict[str, Any]:
        """Respond with what the stream of the inner request says."""
        assert self.inner is not None
        shown: dict[str, Any] = self.inner.get("/nesting/stream").get_json()
        return shown

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
        with pytest.raises(RuntimeError):
            get_jwt()


def test_a_stream_has_the_claims_of_its_request(backend: Backend) -> None:
    """The server reads it when the request is over."""
    ada = backend.signed_in_client("ada", "reader")
    own = ada.get("/nesting/who").get_json()
    assert ada.get("/nesting/stream").get_json() == own


def test_a_stream_of_an_inner_request_has_the_claims_of_that_request(
    backend: Backend, nesting: Nesting
) -> None:
    """Not those of the user whose view reads it (S-001)."""
    assert nesting.inner is not None
    own = nesting.inner.get("/nesting/who").get_json()
    ada = backend.signed_in_client("ada", "reader")
    assert ada.get("/nesting/outer-stream").get_json() == own


def test_a_copy_of_the_context_before_the_view_takes_no_claims(backend: Backend) -> None:
    """A hook may use one, for a greenlet."""
    ada = backend.signed_in_client("ada", "reader")
    backend.app.before_request_funcs.setdefault(None, []).append(lambda: copy_context(ada, ""))
    assert ada.get("/nesting/who").status_code == 200


def test_a_copy_of_the_context_has_the_claims_in_another_thread(
    backend: Backend, nesting: Nesting
) -> None:
    """There it has a `g` of its own."""

    def call_thread(_client: FlaskClient, _path: str) -> None:
        show = flask.copy_current_request_context(nesting.show_who)
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(show).result() == nesting.show_who()

    nesting.way = call_thread
    assert backend.signed_in_client("ada", "reader").get("/nesting/outer").status_code == 200


def test_a_test_reads_the_claims_of_its_last_request(backend: Backend) -> None:
    """`with client:` keeps the context of the request."""
    ada = backend.signed_in_client("ada", "reader")
    with ada:
        own = ada.get("/nesting/who").get_json()
        assert own == {"ids": [get_jwt()["sub"]]}


def test_claims_are_a_plain_dictionary(backend: Backend) -> None:
    """A view may return them, or write them as JSON."""
    with backend.signed_in_client("ada", "reader") as ada:
        ada.get("/nesting/who")
        assert (type(get_jwt()), flask.jsonify(get_jwt()).get_json()) == (dict, get_jwt())


def test_claims_are_copied_only_for_a_view_that_asks(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most views ask for no claims, and the copy costs time."""
    ada = backend.signed_in_client("ada", "reader")
    monkeypatch.setattr(Claims, "copy", lambda _: pytest.fail("copied"))
    assert ada.get("/nesting/caller").status_code == 200


def test_a_refused_second_dispatch_leaves_no_caller_of_the_first(backend: Backend) -> None:
    """The response to it may be rendered by a function that looks (S-001)."""
    ada = backend.signed_in_client("ada", "reader")
    headers = {"Authorization": ada.environ_base["HTTP_AUTHORIZATION"]}
    with backend.app.test_request_context("/nesting/who", headers=headers) as context:
        full: Any = backend.app.full_dispatch_request
        arguments = [context][: full.__code__.co_argcount - 1]
        full(*arguments)
        context.request.environ["HTTP_AUTHORIZATION"] = "Bearer x"
        assert full(*arguments).status_code == 401
        assert (optional_caller(), flask.g.get("_jwt_extended_jwt")) == (None, None)
