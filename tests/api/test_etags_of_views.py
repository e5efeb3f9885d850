"""ETags and preconditions of views in blueprints, whatever the view returns (S-153)."""

# mypy: disable-error-code="untyped-decorator"
# Flask-Smorest has no types.

import io
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import flask
import flask_smorest
import marshmallow
import pytest
from flask.testing import FlaskClient

from itemsapi import Blueprint, Schema, fields, public
from support.echo_blueprint import create_echo_app

OPEN = public("a test")
STATES = [{"If-None-Match": '"v3"'}, {"If-Match": '"v9"'}, {"If-Match": '"v3"'}]


class Pet(Schema):
    """A pet."""

    name = fields.String(required=True)


Opener = Callable[..., FlaskClient]


@pytest.fixture
def blp() -> Any:
    """A blueprint."""
    return Blueprint("pets", "pets", url_prefix="/pets")


@pytest.fixture
def stock() -> Any:
    """A blueprint of Flask-Smorest."""
    return flask_smorest.Blueprint("stock", "stock")


@pytest.fixture
def opened(tmp_path: Path) -> Opener:
    """Return a function that creates a test client for blueprints."""
    return lambda *blueprints: create_echo_app(tmp_path, *blueprints).test_client()


def statuses(client: FlaskClient, path: str = "/pets") -> list[int]:
    """Return what a read of version 3 responds to each of `STATES`."""
    return [client.get(path, headers=headers).status_code for headers in STATES]


@pytest.mark.parametrize("status", [404, "404 NOT FOUND"])
@pytest.mark.parametrize("sent", [{"If-None-Match": "*"}, {"If-Match": '"v9"'}])
def test_preconditions_are_ignored_when_the_view_responds_with_an_error(
    blp: Any, opened: Opener, status: object, sent: dict[str, str]
) -> None:
    """RFC 9110 13.2.1: they apply only to what would be a success."""

    @blp.get("/")
    @OPEN
    @blp.etag
    @blp.response(200, Pet)
    def show() -> object:
        return {"name": "None"}, status

    assert opened(blp).get("/pets", headers=sent).status_code == 404


def test_preconditions_are_ignored_when_the_view_redirects(blp: Any, opened: Opener) -> None:
    """RFC 9110 13.2.1: it is no success either."""

    @blp.get("/")
    @OPEN
    @blp.etag
    def show() -> object:
        blp.set_etag(3)
        return flask.redirect("/elsewhere")

    assert statuses(opened(blp)) == [302, 302, 302]


def test_a_response_that_is_not_modified_has_no_content_type(blp: Any, opened: Opener) -> None:
    """It has no content (RFC 9110 15.4.5)."""

    @blp.get("/")
    @OPEN
    @blp.etag
    def show() -> object:
        blp.set_etag(3)
        return {"name": "Rex"}

    response = opened(blp).get("/pets", headers=STATES[0])
    assert response.status_code == 304
    assert not {"Content-Type", "Content-Length"} & {*response.headers.keys()}


def test_the_etag_of_the_response_is_kept_when_the_view_sets_another(
    blp: Any, opened: Opener
) -> None:
    """It may come from a file or from another service."""

    @blp.get("/")
    @OPEN
    @blp.etag
    def show() -> object:
        blp.set_etag(3)
        response = flask.jsonify(name="Rex")
        response.set_etag("own")
        return response

    assert opened(blp).get("/pets").headers["ETag"] == '"own"'


def test_an_error_has_no_etag(blp: Any, opened: Opener) -> None:
    """It is no version of the resource."""

    @blp.get("/")
    @OPEN
    @blp.etag
    def show() -> object:
        blp.set_etag(3)
        return flask.jsonify(error="gone"), 410

    assert "ETag" not in opened(blp).get("/pets").headers


@pytest.mark.parametrize("below", [True, False])
def test_preconditions_hold_when_the_view_makes_its_own_response(
    blp: Any, opened: Opener, *, below: bool
) -> None:
    """With and without the decorator `response`."""

    def show() -> object:
        blp.set_etag(3)
        return flask.jsonify(name="Rex")

    view = blp.response(200, Pet)(show) if below else show
    blp.get("/")(OPEN(blp.etag(view)))
    assert statuses(opened(blp)) == [304, 412, 200]


def test_preconditions_hold_when_the_view_returns_a_dictionary(blp: Any, opened: Opener) -> None:
    """Flask makes the response after the view, so the ETag is added then."""

    @blp.get("/")
    @OPEN
    @blp.etag
    def show() -> object:
        blp.set_etag(3)
        return {"name": "Rex"}

    assert statuses(opened(blp)) == [304, 412, 200]


def test_preconditions_hold_when_response_stands_above_etag(blp: Any, opened: Opener) -> None:
    """The schema is applied as well."""

    @blp.get("/")
    @OPEN
    @blp.response(200, Pet)
    @blp.etag
    def show() -> object:
        blp.set_etag(3)
        return {"name": "Rex", "secret": 1}

    client = opened(blp)
    assert statuses(client) == [304, 412, 200]
    assert client.get("/pets").get_json() == {"name": "Rex"}


@pytest.mark.parametrize("weak", [True, False])
def test_preconditions_hold_when_the_response_has_an_etag_of_its_own(
    blp: Any, opened: Opener, *, weak: bool
) -> None:
    """A weak one matches no `If-Match` (RFC 9110 13.1.1)."""

    @blp.get("/")
    @OPEN
    @blp.etag
    @blp.response(200)
    def show() -> object:
        response = flask.jsonify(name="Rex")
        response.set_etag("v3", weak=weak)
        return response

    assert statuses(opened(blp)) == [304, 412, 412 if weak else 200]


@pytest.mark.parametrize("order", [*permutations(["etag", "response", "arguments"])], ids="-".join)
def test_an_asynchronous_view_is_awaited_whichever_decorator_is_below(
    blp: Any, opened: Opener, order: tuple[str, ...]
) -> None:
    """Each of them may be the one that calls the view."""
    decorators = {
        "etag": blp.etag,
        "response": blp.response(200, Pet),
        "arguments": blp.arguments(Pet, location="query"),
    }

    async def show(pet: object) -> object:
        return pet

    view: Any = show
    for name in order:
        view = decorators[name](view)
    blp.get("/")(OPEN(view))
    response = opened(blp).get("/pets?name=Rex")
    assert (response.get_json(), "ETag" in response.headers) == ({"name": "Rex"}, True)


def test_a_file_is_closed_when_it_is_not_modified(blp: Any, opened: Opener) -> None:
    """The 304 replaces the body."""
    file = io.BytesIO(b"Rex")

    @blp.get("/")
    @OPEN
    @blp.etag
    @blp.response(200)
    def show() -> object:
        blp.set_etag(3)
        return flask.send_file(file, mimetype="text/plain")

    found = opened(blp).get("/pets", headers=STATES[0], buffered=True)
    assert (found.status_code, found.data, file.closed) == (304, b"", True)


@pytest.mark.parametrize("version", [1795852800123456789, -1, 10**40, True])
def test_a_version_is_accepted_when_it_was_just_read(
    blp: Any, opened: Opener, version: int
) -> None:
    """Versions may be times in nanoseconds, as of `time.time_ns`."""

    @blp.route("/", methods=["GET", "PUT"])
    @OPEN
    @blp.etag
    @blp.response(200)
    def change() -> object:
        if flask.request.method == "PUT":
            blp.check_etag(version)
        blp.set_etag(version)
        return {}

    client = opened(blp)
    sent = {"If-Match": client.get("/pets").headers["ETag"]}
    assert client.put("/pets", headers=sent).status_code == 200


@pytest.mark.parametrize("inner", ["ours", "stock"])
@pytest.mark.parametrize("outer", ["ours", "stock", "none"])
def test_if_match_is_required_whichever_arguments_are_below(
    blp: Any, stock: Any, opened: Opener, inner: str, outer: str
) -> None:
    """428, and a change with `If-Match` is made."""

    def change(*_: object) -> object:
        blp.check_etag({"name": "Tom"})
        return {"name": "Rex"}

    blueprints = {"ours": blp, "stock": stock}
    view = blueprints[inner].arguments(Pet)(blp.response(200, Pet)(change))
    if outer in blueprints:
        query = marshmallow.Schema.from_dict({"q": marshmallow.fields.String()})
        view = blueprints[outer].arguments(query, location="query")(view)
    blp.put("/")(OPEN(blp.etag(view)))
    put, sent = opened(blp).put, {"json": {"name": "Rex"}}
    assert put("/pets", **sent).status_code == 428
    assert put("/pets", **sent, headers={"If-Match": "*"}).status_code == 200


@pytest.mark.parametrize("etag", ["ours", "stock"])
@pytest.mark.parametrize("response", ["ours", "stock"])
def test_an_etag_is_made_of_the_data_whichever_response_is_below(
    blp: Any, stock: Any, opened: Opener, etag: str, response: str
) -> None:
    """The same data has the same ETag."""
    blueprints = {"ours": blp, "stock": stock}

    def show() -> object:
        return {"name": "Rex"}

    view = blueprints[etag].etag(blueprints[response].response(200, Pet)(show))
    blp.get("/")(OPEN(view))
    client = opened(blp, stock)
    tag = client.get("/pets").headers["ETag"]
    assert client.get("/pets", headers={"If-None-Match": tag}).status_code == 304


def test_an_etag_is_not_of_an_earlier_request_in_the_same_application_context(
    blp: Any, opened: Opener
) -> None:
    """`g` is theirs together: the view's own response has no data to make an ETag of."""

    @blp.get("/data")
    @OPEN
    @blp.response(200, Pet)
    def data() -> object:
        return {"name": "Rex"}

    @blp.get("/own")
    @OPEN
    @blp.etag
    @blp.response(200)
    def own() -> object:
        return flask.jsonify(1)

    client = opened(blp)
    with client.application.app_context():
        client.get("/pets/data")
        assert "ETag" not in client.get("/pets/own").headers
