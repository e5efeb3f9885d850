"""What pages give back: answers, refusals, headers."""

import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import create_environ

from itemsapi.observability import logging
from support.echo_blueprint import create_echo_app, echo_client, middleware_of

MEMBERS = {"type", "title", "status", "detail", "code", "request_id"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    """A client of the echo page."""
    return echo_client(tmp_path_factory.mktemp("data"))


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
def test_problem_is_answered_when_anything_is_raised(
    api: FlaskClient, path: str, status: int, code: str
) -> None:
    """S-014, S-015, S-197, RFC 9457: one shape for whatever goes wrong."""
    answer = api.get(path)
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert (answer.get_json()["code"], set(answer.get_json())) == (code, MEMBERS)


def test_faults_are_told_when_a_view_loads_a_schema_itself(api: FlaskClient) -> None:
    """A `ValidationError` is the client's fault wherever it is raised."""
    answer = api.get("/echo/raise/schema")
    assert [fault["field"] for fault in answer.get_json()["errors"]] == ["number"]


def test_response_is_sent_as_it_is_when_a_view_aborts_with_it(api: FlaskClient) -> None:
    """Somebody made it on purpose."""
    answer = api.get("/echo/raise/response")
    assert (answer.status_code, answer.data) == (299, b"as it is")


def test_problem_says_where_it_is_explained_when_answered(tmp_path: Path) -> None:
    """RFC 9457 section 3.1.1: `type` is an address under the public one."""
    answer = echo_client(tmp_path, public_url="https://api.example.org/").get("/nothing")
    assert answer.get_json()["type"] == "https://api.example.org/docs/problems#not_found"


@pytest.mark.parametrize("name", ["type", "exit", "500"])
def test_nothing_leaks_when_a_page_fails(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """S-100: the cause stands in the log, under the id that the answer names."""
    answer = echo_client(tmp_path).get(f"/echo/raise/{name}")
    assert b"secret" not in answer.data
    assert answer.get_json()["request_id"] in capsys.readouterr().err


def test_allowed_methods_are_listed_when_a_method_is_not(api: FlaskClient) -> None:
    """RFC 9110 section 15.5.6: 405 carries `Allow`, with or without a slash at the end."""
    answers = [api.put("/echo"), api.put("/echo/"), api.open("/echo", method="TRACE")]
    assert {answer.status_code for answer in answers} == {405}
    assert {answer.headers["Allow"] for answer in answers} == {"GET, HEAD, OPTIONS, POST"}


@pytest.mark.parametrize("path", ["/echo/bare", "/echo/bare/"])
def test_page_answers_without_a_redirect_when_a_slash_is_added(api: FlaskClient, path: str) -> None:
    """S-006: a redirect may lose or leak a token."""
    assert api.get(path).get_json() == {"a": 1}


@pytest.mark.parametrize("path", ["/ECHO/bare", "/echo//bare", "/echo/./bare", "/echo/bare;x"])
def test_page_is_not_found_when_spelled_otherwise(api: FlaskClient, path: str) -> None:
    """S-006: one spelling each, and no redirect to it."""
    assert api.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/echo/bare", "/nothing", "/echo/raise/exit", "/echo/raise/type"])
def test_body_is_empty_when_only_the_head_is_asked(api: FlaskClient, path: str) -> None:
    """S-005: HEAD is GET without the body."""
    answer = api.head(path)
    assert (answer.data, answer.status_code) == (b"", api.get(path).status_code)


@pytest.mark.parametrize("path", ["/echo/bare", "/nothing", "/echo/raise/exit", "/docs"])
def test_answer_is_dressed_whatever_it_is(api: FlaskClient, path: str) -> None:
    """S-140, S-162: the same headers on answers and refusals."""
    headers = api.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert {"Referrer-Policy", "Cross-Origin-Resource-Policy", "Content-Security-Policy"} <= set(
        headers.keys()
    )


def test_answer_is_not_stored_when_the_page_says_nothing(api: FlaskClient) -> None:
    """S-162: what is not said to be public is private."""
    headers = api.get("/echo/bare").headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["Vary"] == "Authorization, Cookie, Origin"


def test_answer_is_not_transformed_when_it_carries_a_version(api: FlaskClient) -> None:
    """S-153, RFC 9111 section 5.2.2.6: compressed, its ETag would be weak and match nothing."""
    tag = api.get("/echo/versioned").headers["ETag"]
    answers = [api.get("/echo/versioned", headers=h) for h in ({}, {"If-None-Match": tag})]
    assert {a.headers["Cache-Control"] for a in answers} == {"no-store, no-transform"}
    assert [a.status_code for a in answers] == [200, 304]


def test_headers_of_the_page_stay_when_it_sets_them(api: FlaskClient) -> None:
    """A page knows better what it may allow; `Vary` only ever grows (S-093)."""
    headers = api.get("/echo/own-headers").headers
    assert headers.getlist("Cache-Control") == ["public"]
    assert headers.getlist("Vary") == ["Accept", "Authorization, Cookie, Origin"]


@pytest.mark.parametrize("path", ["/auth/nothing", "/oauth/nothing"])
def test_answer_is_not_stored_when_tokens_are_near(api: FlaskClient, path: str) -> None:
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
def test_tls_is_demanded_from_now_on_when_it_is_there(
    tmp_path: Path, public_url: str, scheme: str, *, strict: bool
) -> None:
    """S-017: HSTS for a year, on refusals too."""
    answer = echo_client(tmp_path, public_url=public_url).get(
        "/x", base_url=f"{scheme}://localhost"
    )
    assert ("max-age=31536000" in answer.headers.get("Strict-Transport-Security", "")) is strict


def test_request_id_comes_back_when_the_client_sends_one(api: FlaskClient) -> None:
    """A program may follow its request through the logs of several services."""
    answer = api.get("/nothing", headers={"X-Request-Id": "trace-0123.A"})
    assert answer.headers["X-Request-Id"] == answer.get_json()["request_id"] == "trace-0123.A"


@pytest.mark.parametrize("sent", ["short", "x" * 65, "with space", 'a"b"c"d"e', "\xe9" * 10, ""])
def test_request_id_is_ours_when_the_clients_is_odd(api: FlaskClient, sent: str) -> None:
    """S-151: nothing odd gets into the log."""
    answer = api.get("/nothing", headers={"X-Request-Id": sent})
    assert len(answer.headers["X-Request-Id"]) == 36


@pytest.mark.parametrize("headers", [{"X-A": "a" * 8193}, {f"X-{n}": "a" * 8000 for n in range(5)}])
def test_request_is_refused_when_its_headers_are_huge(
    api: FlaskClient, headers: dict[str, str]
) -> None:
    """S-101, R-15: 431 before anything looks at them."""
    answer = api.get("/echo/bare", headers=headers)
    assert (answer.status_code, answer.get_json()["code"]) == (431, "headers_too_large")


@pytest.mark.parametrize("sent", ['"v7"', "*"])
def test_what_a_change_expects_reaches_the_view(api: FlaskClient, sent: str) -> None:
    """S-153: as a positional argument, which the view holds against what is stored."""
    answer = api.put("/echo/versioned", headers={"If-Match": sent})
    assert answer.get_json() == {"version": 8}


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 428), ({"If-Match": 'W/"v7"'}, 412), ({"If-Match": '"v6"'}, 412)],
)
def test_change_is_refused_when_it_names_no_version_or_another(
    api: FlaskClient, headers: dict[str, str], status: int
) -> None:
    """S-153, RFC 6585 section 3."""
    assert api.put("/echo/versioned", headers=headers).status_code == status


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_body_is_spared_when_the_client_has_the_version(api: FlaskClient, method: str) -> None:
    """S-153: 304 with the ETag, without the body."""
    answer = api.open("/echo/versioned", method=method, headers={"If-None-Match": '"v7"'})
    assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", '"v7"')


def test_problem_is_answered_when_the_log_is_gone(
    api: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-152: what cannot be written down is answered all the same."""
    monkeypatch.setattr(logging, "log", None)
    assert api.get("/echo/raise/exit").get_json()["code"] == "internal_error"


def test_problem_is_answered_when_a_teardown_fails_after_the_answer(tmp_path: Path) -> None:
    """S-197: the server has not sent the headers yet, so they are replaced (PEP 3333)."""
    app = create_echo_app(tmp_path)

    @app.teardown_request
    def fail(_: object) -> None:
        raise RuntimeError("a secret")

    told: list[tuple[str, object]] = []

    def start(status: str, _: object, exc_info: object = None, /) -> object:
        told.append((status[:3], exc_info is not None))
        return sys.stdout.write

    body: Iterable[bytes] = middleware_of(app)(create_environ("/echo/bare"), start)  # type: ignore[arg-type]  # a recorder
    assert (told, b"internal_error" in b"".join(body)) == ([("200", False), ("500", True)], True)


def test_server_can_be_stopped_when_a_page_is_at_work(api: FlaskClient) -> None:
    """Ctrl-C is the one thing that is let through."""
    with pytest.raises(KeyboardInterrupt):
        api.get("/echo/raise/stop")
