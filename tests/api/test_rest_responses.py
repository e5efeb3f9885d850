"""The output of endpoints: responses, problems, headers."""

import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import create_environ

from itemsapi import Blueprint, public
from itemsapi.observability import logging
from support.echo_blueprint import create_echo_app, echo_client, middleware_of

MEMBERS = {"type", "title", "status", "detail", "code", "request_id"}


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/nothing", 404, "not_found"),
        ("/echo/raise/400", 400, "bad_request"),
        ("/echo/raise/401", 401, "invalid_token"),
        ("/echo/raise/410", 410, "gone"),
        ("/echo/raise/418", 418, "i_m_a_teapot"),
        ("/echo/raise/429", 429, "too_many_requests"),
        ("/echo/raise/500", 500, "internal_error"),
        ("/echo/raise/502", 500, "internal_error"),
        ("/echo/raise/503", 503, "unavailable"),
        ("/echo/raise/799", 500, "internal_error"),
        ("/echo/raise/type", 500, "internal_error"),
        ("/echo/raise/exit", 500, "internal_error"),
        ("/echo/raise/generator", 500, "internal_error"),
        ("/echo/number/" + "9" * 5000, 404, "not_found"),
    ],
)
def test_any_exception_becomes_a_problem_response(
    api: FlaskClient, path: str, status: int, code: str
) -> None:
    """S-014, S-015, S-197, RFC 9457: one form for every error."""
    response = api.get(path)
    assert (response.status_code, response.content_type) == (status, "application/problem+json")
    assert (response.get_json()["code"], set(response.get_json())) == (code, MEMBERS)


@pytest.mark.parametrize("method", ["DELETE", "OPTIONS"])
def test_a_response_without_content_has_no_content_type(tmp_path: Path, method: str) -> None:
    """S-015: of a view and of the gate; Flask gives every response a media type."""
    blueprint = Blueprint("empty", __name__)

    @blueprint.delete("/empty")
    @public("a test")
    @blueprint.response(204)
    def delete() -> None: ...

    response = create_echo_app(tmp_path, blueprint).test_client().open("/empty", method=method)
    assert (response.status_code, response.headers.get("Content-Type")) == (204, None)


def test_validation_errors_are_reported_when_a_view_loads_a_schema(api: FlaskClient) -> None:
    """A `ValidationError` is an error of the client wherever it is raised."""
    response = api.get("/echo/raise/schema")
    assert [fault["field"] for fault in response.get_json()["errors"]] == ["number"]


def test_response_is_sent_as_it_is_when_a_view_aborts_with_it(api: FlaskClient) -> None:
    """The view made it on purpose."""
    response = api.get("/echo/raise/response")
    assert (response.status_code, response.data) == (299, b"as it is")


def test_problem_type_is_the_url_of_its_explanation(tmp_path: Path) -> None:
    """RFC 9457 section 3.1.1: `type` is below the public URL."""
    response = echo_client(tmp_path, public_url="https://api.example.org/").get("/nothing")
    assert response.get_json()["type"] == "https://api.example.org/docs/problems#not_found"


@pytest.mark.parametrize("name", ["type", "exit", "500"])
def test_nothing_leaks_when_a_view_fails(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """S-100: the cause is logged with the request id of the response."""
    response = echo_client(tmp_path).get(f"/echo/raise/{name}")
    assert b"secret" not in response.data
    assert response.get_json()["request_id"] in capsys.readouterr().err


def test_allowed_methods_are_listed_when_a_method_is_not(api: FlaskClient) -> None:
    """RFC 9110 section 15.5.6: 405 has `Allow`, with or without a slash at the end."""
    responses = [api.put("/echo"), api.put("/echo/"), api.open("/echo", method="TRACE")]
    assert {response.status_code for response in responses} == {405}
    assert {response.headers["Allow"] for response in responses} == {"GET, HEAD, OPTIONS, POST"}


@pytest.mark.parametrize("path", ["/echo/bare", "/echo/bare/"])
def test_url_with_a_trailing_slash_is_not_redirected(api: FlaskClient, path: str) -> None:
    """S-006: a redirect may lose or leak a token."""
    assert api.get(path).get_json() == {"a": 1}


@pytest.mark.parametrize("path", ["/ECHO/bare", "/echo//bare", "/echo/./bare", "/echo/bare;x"])
def test_url_is_not_found_when_spelled_differently(api: FlaskClient, path: str) -> None:
    """S-006: one spelling each, and no redirect to it."""
    assert api.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/echo/bare", "/nothing", "/echo/raise/exit", "/echo/raise/type"])
def test_body_is_empty_for_head(api: FlaskClient, path: str) -> None:
    """S-005: HEAD is GET without the body."""
    response = api.head(path)
    assert (response.data, response.status_code) == (b"", api.get(path).status_code)


@pytest.mark.parametrize("path", ["/echo/bare", "/nothing", "/echo/raise/exit", "/docs"])
def test_default_headers_are_set_on_every_response(api: FlaskClient, path: str) -> None:
    """S-140, S-162: on errors too."""
    headers = api.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert {"Referrer-Policy", "Cross-Origin-Resource-Policy", "Content-Security-Policy"} <= set(
        headers.keys()
    )


def test_response_is_not_cached_by_default(api: FlaskClient) -> None:
    """S-162: a response is private unless declared public."""
    headers = api.get("/echo/bare").headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["Vary"] == "Authorization, Cookie, Origin"


def test_response_with_an_etag_is_not_transformed(api: FlaskClient) -> None:
    """S-153, RFC 9111 section 5.2.2.6: compressed, its ETag would be weak and match nothing."""
    tag = api.get("/echo/versioned").headers["ETag"]
    responses = [api.get("/echo/versioned", headers=h) for h in ({}, {"If-None-Match": tag})]
    assert {a.headers["Cache-Control"] for a in responses} == {"no-store, no-transform"}
    assert [a.status_code for a in responses] == [200, 304]


def test_headers_set_by_a_view_are_kept(api: FlaskClient) -> None:
    """A view knows better what it may allow; `Vary` is only extended (S-093)."""
    headers = api.get("/echo/own-headers").headers
    assert headers.getlist("Cache-Control") == ["public"]
    assert headers.getlist("Vary") == ["Accept", "Authorization, Cookie, Origin"]


@pytest.mark.parametrize("path", ["/auth/nothing", "/oauth/nothing"])
def test_response_is_not_cached_at_token_endpoints(api: FlaskClient, path: str) -> None:
    """S-070, RFC 6749 section 5.1: errors too."""
    headers = api.get(path).headers
    assert (headers["Cache-Control"], headers["Pragma"]) == ("no-store", "no-cache")


@pytest.mark.parametrize(
    ("public_url", "scheme", "strict"),
    [
        ("http://localhost:8000", "http", False),
        ("http://localhost:8000", "https", True),
        ("https://api.example.org", "http", True),
    ],
)
def test_hsts_is_sent_over_https(
    tmp_path: Path, public_url: str, scheme: str, *, strict: bool
) -> None:
    """S-017: for a year, on errors too."""
    response = echo_client(tmp_path, public_url=public_url).get(
        "/x", base_url=f"{scheme}://localhost"
    )
    assert ("max-age=31536000" in response.headers.get("Strict-Transport-Security", "")) is strict


def test_request_id_of_the_client_is_returned(api: FlaskClient) -> None:
    """A program may follow its request through the logs of several services."""
    response = api.get("/nothing", headers={"X-Request-Id": "trace-0123.A"})
    assert response.headers["X-Request-Id"] == response.get_json()["request_id"] == "trace-0123.A"


@pytest.mark.parametrize("sent", ["short", "x" * 65, "with space", 'a"b"c"d"e', "\xe9" * 10, ""])
def test_request_id_is_generated_when_that_of_the_client_is_invalid(
    api: FlaskClient, sent: str
) -> None:
    """S-151: nothing invalid is logged."""
    response = api.get("/nothing", headers={"X-Request-Id": sent})
    assert len(response.headers["X-Request-Id"]) == 36


@pytest.mark.parametrize("headers", [{"X-A": "a" * 8193}, {f"X-{n}": "a" * 8000 for n in range(5)}])
def test_request_is_rejected_when_its_headers_are_too_large(
    api: FlaskClient, headers: dict[str, str]
) -> None:
    """S-101, R-15: 431 before anything else is checked."""
    response = api.get("/echo/bare", headers=headers)
    assert (response.status_code, response.get_json()["code"]) == (431, "headers_too_large")


@pytest.mark.parametrize("sent", ['"v7"', "*"])
def test_expected_version_is_passed_to_the_view(api: FlaskClient, sent: str) -> None:
    """S-153: as a positional argument, which the view compares with the stored version."""
    response = api.put("/echo/versioned", headers={"If-Match": sent})
    assert response.get_json() == {"version": 8}


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 428), ({"If-Match": 'W/"v7"'}, 412), ({"If-Match": '"v6"'}, 412)],
)
def test_change_is_rejected_when_it_names_another_version_or_none(
    api: FlaskClient, headers: dict[str, str], status: int
) -> None:
    """S-153, RFC 6585 section 3."""
    assert api.put("/echo/versioned", headers=headers).status_code == status


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_body_is_not_sent_when_the_client_has_the_version(api: FlaskClient, method: str) -> None:
    """S-153: 304 with the ETag, without the body."""
    response = api.open("/echo/versioned", method=method, headers={"If-None-Match": '"v7"'})
    assert (response.status_code, response.data, response.headers["ETag"]) == (304, b"", '"v7"')


def test_problem_response_is_sent_when_logging_fails(
    api: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-152: an error that cannot be logged still gets its response."""
    monkeypatch.setattr(logging.StandardErrorHandler, "emit", lambda *_: 1 / 0)
    assert api.get("/echo/raise/exit").get_json()["code"] == "internal_error"


def test_problem_response_replaces_the_response_when_a_teardown_fails(tmp_path: Path) -> None:
    """S-197: the server has not sent the headers yet, so they are replaced (PEP 3333)."""
    app = create_echo_app(tmp_path)

    @app.teardown_request
    def fail(_: object) -> None:
        raise RuntimeError("a secret")

    started: list[tuple[str, object]] = []

    def start(status: str, _: object, exc_info: object = None, /) -> object:
        started.append((status[:3], exc_info is not None))
        return sys.stdout.write

    body: Iterable[bytes] = middleware_of(app)(create_environ("/echo/bare"), start)  # type: ignore[arg-type]  # a recorder
    assert (started, b"internal_error" in b"".join(body)) == ([("200", False), ("500", True)], True)


def test_keyboard_interrupt_in_a_view_stops_the_server(api: FlaskClient) -> None:
    """It is the only exception that is not handled."""
    with pytest.raises(KeyboardInterrupt):
        api.get("/echo/raise/stop")
