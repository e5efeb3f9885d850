"""Streamed responses: a view that returns `flask.Response(generator())`."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, Response, stream_with_context
from flask.testing import FlaskClient

from itemsapi import Blueprint, current_caller, signed_in
from support.app_factory import Backend
from support.log_records import LogRecords

Protect = Callable[..., Backend]
Build = Callable[..., Backend]

pytestmark = pytest.mark.dialect("sqlite")  # streams do not depend on the database

streams = Blueprint("streams", __name__, url_prefix="/streams")
events: list[str] = []
SECRET = "hunter2"


def count(end: int | None) -> Iterator[str]:
    """Yield three lines; fail before line `end`."""
    try:
        for number in range(3):
            events.append(f"line {number}")
            if number == end:
                raise ZeroDivisionError(f"password={SECRET}")
            yield f"{number}\n"
    finally:
        events.append("closed")


@streams.get("/whole")
@signed_in
@streams.response(200, {"type": "string"}, content_type="text/plain")
def stream_all() -> Response:
    """Stream three lines."""
    return Response(count(None), content_type="text/plain")


@streams.get("/broken")
@signed_in
@streams.response(200, {"type": "string"}, content_type="text/plain")
def stream_part() -> Response:
    """Stream one line, then fail."""
    return Response(count(1), content_type="text/plain")


class Rows:
    """Rows that hold something until they are closed."""

    def __iter__(self) -> Iterator[str]:
        """Yield a row."""
        yield "row"

    def close(self) -> None:
        """Let it go."""
        events.append("rows closed")


@streams.get("/rows")
@signed_in
@streams.response(200, {"type": "string"}, content_type="text/plain")
def stream_rows() -> Response:
    """Stream rows."""
    return Response(Rows(), content_type="text/plain")


@streams.get("/caller")
@signed_in
@streams.response(200, {"type": "string"}, content_type="text/plain")
def stream_caller() -> Response:
    """Stream the id of the caller."""

    def lines() -> Iterator[str]:
        yield current_caller().user_id

    return Response(stream_with_context(lines()), content_type="text/plain")


@pytest.fixture(params=["host", "create_app"])
def backend(request: pytest.FixtureRequest, protect: Protect, make_backend: Build) -> Backend:
    """A host and the Items API, with the streams."""
    events.clear()
    if request.param == "create_app":
        return make_backend(streams)
    app = Flask(__name__, static_folder=None)
    app.register_blueprint(streams)
    return protect(app)


@pytest.fixture
def ada(backend: Backend) -> FlaskClient:
    """A client who is signed in."""
    return backend.signed_in_client("ada", "member")


def test_a_stream_arrives_complete(ada: FlaskClient) -> None:
    """Line by line, without a length."""
    response = ada.get("/streams/whole")
    assert (response.data, response.headers.get("Content-Length")) == (b"0\n1\n2\n", None)


def test_nothing_is_generated_without_a_token(backend: Backend) -> None:
    """The gate comes before the first byte (S-001)."""
    assert backend.client().get("/streams/whole").status_code == 401
    assert events == []


def test_a_generator_may_use_the_caller(ada: FlaskClient) -> None:
    """With Flask's `stream_with_context`."""
    me: Any = ada.get("/me").json
    assert ada.get("/streams/caller").text == me["id"]


def test_an_error_in_a_stream_is_logged_once(ada: FlaskClient, log_records: LogRecords) -> None:
    """The response has begun, so it can only be cut off; secrets are not logged (S-150)."""
    with pytest.raises(ZeroDivisionError):
        ada.get("/streams/broken")
    (line,) = [line for line in log_records.lines() if line.startswith("stream_failed")]
    assert "ZeroDivisionError" in line
    assert SECRET not in line


def test_the_log_line_has_the_id_of_the_request(ada: FlaskClient, log_records: LogRecords) -> None:
    """The context of the request has ended by then on a host."""
    with pytest.raises(ZeroDivisionError):
        ada.get("/streams/broken", headers={"X-Request-Id": "request-17"})
    assert "stream_failed request_id=request-17" in "\n".join(log_records.lines())


def test_a_generator_is_closed_when_the_client_is_gone(ada: FlaskClient) -> None:
    """After the first line; the server closes the response (PEP 3333)."""
    response = ada.get("/streams/whole", buffered=False)
    next(response.iter_encoded())
    response.close()
    assert events == ["line 0", "closed"]


def test_an_iterable_is_closed_although_nothing_was_read(ada: FlaskClient) -> None:
    """The client has gone before the first byte."""
    ada.get("/streams/rows", buffered=False).close()
    assert events == ["rows closed"]
