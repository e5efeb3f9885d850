"""Hostile bodies: refused at once, with a small answer, and nothing breaks."""

import io
import json
import time

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from support.echo_blueprint import echo_client

MIB = 1024 * 1024
BUDGET = 0.05  # seconds, R-16

HOSTILE = {
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "closed deep": b"[" * 5000 + b"]" * 5000,
    "4,400 digits": b'{"number": ' + b"1" * 4400 + b"}",
    "a million digits": b"1" * (MIB - 1),
    "20,000 names": json.dumps({str(n): n for n in range(20_000)}).encode(),
    "half a million values": b"[" + b"0," * 500_000 + b"0]",
    "many lists": b"[" + b"[]," * 340_000 + b"[]]",
    "many strings": b"[" + b'"",' * 340_000 + b'""]',
    "backslashes": b'{"a": "' + b"\\" * (MIB - 100),
    "escaped quotes": b'"' + b'\\"' * 500_000,
    "quotes": b'"' * (MIB - 1),
    "spaces": b" " * (MIB - 1),
    "numbers with spaces": b"1 " * 500_000,
    "repeated name": b'{"text": "a", "text": "b"}',
    "repeated name, escaped": b'{"text": "a", "\\u0074ext": "b"}',
    "lone surrogate": b'{"text": "\\ud800"}',
    "NUL": b'{"text": "\\u0000"}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"text": "a"}'.encode("utf-16"),
    "no UTF-8": b'{"text": "\xff"}',
    "infinity": b'{"number": 1e999}',
    "NaN": b'{"number": NaN}',
    "gzip": b"\x1f\x8b\x08\x00" + b"\x00" * 100,
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    """A client of the echo page."""
    return echo_client(tmp_path_factory.mktemp("data"))


def _send(api: FlaskClient, body: bytes, kind: str | None = "application/json") -> TestResponse:
    return api.post("/echo", data=body, content_type=kind)


@pytest.mark.parametrize("name", HOSTILE)
def test_body_is_refused_shortly_when_hostile(api: FlaskClient, name: str) -> None:
    """S-014, S-101, S-156, R-16: 400, and less than a kilobyte."""
    answer = _send(api, HOSTILE[name])
    assert (answer.status_code, answer.get_json()["code"]) == (400, "malformed_json")
    assert len(answer.data) < 1024


@pytest.mark.parametrize("name", HOSTILE)
def test_body_is_refused_at_once_when_hostile(api: FlaskClient, name: str) -> None:
    """R-16, R-17: linear time, below 50 ms of processor time."""
    start = time.process_time()
    _send(api, HOSTILE[name])
    assert time.process_time() - start < BUDGET


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/json; profile=x",
        "application/json, text/plain",
        "application/merge-patch+json",
        "application/problem+json",
    ],
)
def test_body_is_refused_when_not_declared_as_json(api: FlaskClient, kind: str | None) -> None:
    """S-016: in particular no type that a form of another site can send without a preflight."""
    answer = _send(api, b"{}", kind)
    assert (answer.status_code, answer.get_json()["code"]) == (415, "unsupported_media_type")


def test_body_is_refused_when_compressed(api: FlaskClient) -> None:
    """R-15: nothing is ever decompressed, so there is no bomb."""
    answer = api.post(
        "/echo", data=b"{}", headers={"Content-Encoding": "gzip"}, content_type="application/json"
    )
    assert answer.status_code == 415


def test_body_is_refused_when_larger_than_a_mebibyte(api: FlaskClient) -> None:
    """S-101, R-15: 413 from the declared length alone."""
    assert _send(api, b" " * (MIB + 1)).get_json()["code"] == "body_too_large"


def test_body_is_refused_when_it_is_sent_in_endless_chunks(api: FlaskClient) -> None:
    """R-15: without a declared length no more than the limit is read."""
    body = io.BytesIO(b" " * (4 * MIB))
    answer = api.post(
        "/echo",
        content_type="application/json",
        input_stream=body,
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
    )
    assert answer.status_code == 413
    assert body.tell() <= MIB + 64 * 1024


def test_answer_stays_small_when_a_thousand_fields_are_unknown(api: FlaskClient) -> None:
    """S-101, CVE-2025-68480: at most twenty errors, and names cut short."""
    answer = _send(api, json.dumps({f"{n}" + "x" * 500: n for n in range(1000)}).encode())
    assert len(answer.get_json()["errors"]) == 20
    assert len(answer.data) < 4096


def test_name_is_made_harmless_when_it_is_hostile(api: FlaskClient) -> None:
    """S-151: no markup, no control character, no line break comes back."""
    answer = _send(api, json.dumps({"<script>\r\n\x1b[31mé\u202e": 1}).encode())
    assert answer.get_json()["errors"][0]["field"] == "?script?????31m??"


@pytest.mark.parametrize(
    "body", [{"owner": "me"}, {"__proto__": {}}, {"id": 1}, {"inner": {"is_admin": True}}]
)
def test_body_is_refused_when_it_sets_what_is_not_to_be_set(
    api: FlaskClient, body: dict[str, object]
) -> None:
    """S-082: unknown and read-only fields are no fields."""
    assert api.post("/echo", json=body).status_code == 422
