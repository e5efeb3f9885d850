"""`@blueprint.idempotent` and `repeated_id`: a request of any view takes effect once (S-154)."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from itemsapi import (
    Blueprint,
    Conflict,
    Schema,
    current_database,
    fields,
    new_id,
    public,
    repeated_id,
    signed_in,
)
from itemsapi.gate.rulebook import RulesInvalid
from support.app_factory import Backend
from support.race import race

Build = Callable[..., Backend]
KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}

notes = Blueprint("notes", __name__, url_prefix="/notes")


class NoteSchema(Schema):
    """A note."""

    text = fields.String(load_default="")
    number = fields.Integer(load_default=0)


class ScanSchema(Schema):
    """A file."""

    scan = fields.Upload(required=True)


def remember(note_id: str, content: object = None) -> tuple[dict[str, object], int]:
    """Return the id that the first request got, and 200 instead of 201 for a repeated one."""
    with current_database().transaction() as tx:
        first_id = repeated_id(tx, note_id, content=content)
    return {"id": first_id or note_id}, 200 if first_id else 201


@notes.post("/<int:folder>")
@signed_in
@notes.idempotent
@notes.arguments(NoteSchema())
@notes.response(201)
def create_note(payload: dict[str, Any], folder: int) -> object:
    """Create a note; a number of 13 fails after the key was stored."""
    if payload["number"] == 13:
        with current_database().transaction() as tx:
            repeated_id(tx, new_id())
            raise Conflict
    return remember(new_id())


@notes.put("/<int:folder>")
@signed_in
@notes.arguments(NoteSchema())
@notes.idempotent
@notes.response(201)
def replace_note(payload: dict[str, Any], folder: int) -> object:
    """Replace a note; only its text counts."""
    return remember(new_id(), payload["text"])


@notes.post("/scans")
@signed_in
@notes.idempotent
@notes.arguments(NoteSchema(), location="form")
@notes.arguments(ScanSchema(), location="files")
@notes.response(201)
def create_scan(payload: dict[str, Any], files: dict[str, Any]) -> object:
    """Create a scan, after reading a part of the file."""
    files["scan"].read(2)
    found = remember(new_id())
    assert files["scan"].read() == files["scan"].stream.getvalue()[2:]
    return found


@notes.post("/careless")
@signed_in
@notes.response(201)
def create_carelessly() -> object:
    """Forget the decorator."""
    return remember(new_id())


@pytest.fixture
def backend(make_backend: Build) -> Backend:
    """An application with the notes."""
    return make_backend(notes)


def create(client: FlaskClient, path: str = "/notes/1", **options: Any) -> Any:
    """Create a note."""
    return client.post(path, **{"json": {"text": "a"}, "headers": KEY} | options)


def scan(client: FlaskClient, content: bytes = b"12345", name: str = "a.txt", **more: Any) -> int:
    """Upload a scan; return the status."""
    data = {"text": "a", "scan": (io.BytesIO(content), name, "text/plain")} | more
    return client.post("/notes/scans", data=data, headers=KEY).status_code


def test_a_repeated_request_gets_the_first_id(ada: FlaskClient) -> None:
    """The first answers 201, the next one 200 with the same id."""
    first, again = create(ada), create(ada)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json == first.json


def test_the_spelling_of_json_does_not_count(ada: FlaskClient) -> None:
    """Order and spaces may differ."""
    create(ada, json={"text": "a", "number": 1})
    body = {"data": '{ "number":1,"text":"\\u0061" }', "content_type": "application/json"}
    assert create(ada, json=None, **body).status_code == 200


@pytest.mark.parametrize(
    "change",
    [{"json": {"text": "b"}}, {"json": {"text": "a", "number": 0}}, {"query_string": "x=1"}],
    ids=["value", "field", "query"],
)
def test_a_different_request_with_the_same_key_is_rejected(
    ada: FlaskClient, change: dict[str, Any]
) -> None:
    """422 with a code of its own."""
    create(ada)
    response = create(ada, **change)
    assert (response.status_code, response.json["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize("path", ["/notes/2", "/notes/01"])
def test_a_key_is_valid_for_one_path(ada: FlaskClient, path: str) -> None:
    """As the client wrote it: another folder, or another spelling of it, is another operation."""
    create(ada)
    assert create(ada, path).status_code == 201


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("http://acme.test", 201),
        ("http://acme.test:8000", 201),
        ("http://localhost/acme", 201),
        ("https://localhost", 200),
        ("http://LOCALHOST:80", 200),
        ("https://localhost:443", 200),
        ("http://localhost.", 200),
        ("http://localhost.:80", 200),
    ],
)
def test_a_key_is_valid_for_one_host(ada: FlaskClient, url: str, status: int) -> None:
    """Tenants may have a host or a path each; the scheme is what a proxy makes of it."""
    create(ada)
    assert create(ada, base_url=url).status_code == status


def test_a_key_is_valid_for_one_tenant_that_the_view_does_not_see(make_backend: Build) -> None:
    """Flask's own pattern: a preprocessor takes the tenant out of the arguments (S-081)."""
    tenants = Blueprint("tenants", __name__, url_prefix="/<tenant>/notes")

    @tenants.url_value_preprocessor
    def pull(_endpoint: str | None, values: dict[str, Any] | None) -> None:
        (values or {}).pop("tenant", None)

    @tenants.post("/")
    @signed_in
    @tenants.idempotent
    @tenants.response(201)
    def create_for_tenant() -> object:
        """Create a note of a tenant."""
        return remember(new_id())

    ada = make_backend(tenants).signed_in_client("ada", "member")
    paths = ["/acme/notes/", "/globex/notes/", "/acme/notes/"]
    assert [create(ada, path).status_code for path in paths] == [201, 201, 200]


def test_a_view_without_a_caller_is_refused_at_the_start(make_backend: Build) -> None:
    """Nobody could tell whose key it is; without the key it would work, and hide the fault."""
    open_notes = Blueprint("open_notes", __name__)

    @open_notes.post("/open")
    @public("a test")
    @open_notes.idempotent
    @open_notes.response(201)
    def create_openly() -> object:
        """Create a note."""
        return remember(new_id())

    advice = r"/open has no caller, by whom @blueprint.idempotent .*; require one, or leave"
    with pytest.raises(RulesInvalid, match=advice):
        make_backend(open_notes)


def test_two_users_may_use_the_same_key(ada: FlaskClient, eve: FlaskClient) -> None:
    """They learn nothing about each other (S-081)."""
    assert [create(each).status_code for each in (ada, eve)] == [201, 201]


def test_a_request_without_a_key_is_never_a_repeated_one(ada: FlaskClient) -> None:
    """The header is optional."""
    assert [create(ada, headers={}).status_code for _ in range(2)] == [201, 201]


def test_an_invalid_key_is_rejected(ada: FlaskClient) -> None:
    """422 that names the header (S-157)."""
    response = create(ada, headers={"Idempotency-Key": "a b"})
    assert response.json["errors"][0]["field"] == "Idempotency-Key"


def test_a_failed_request_stores_no_key(ada: FlaskClient) -> None:
    """The key is stored with the change or not at all."""
    assert create(ada, json={"number": 13}).status_code == 409
    assert create(ada).status_code == 201


def test_content_of_the_view_decides_instead_of_the_body(ada: FlaskClient) -> None:
    """Here two requests with another number are one."""
    put = [ada.put("/notes/1", json={"text": "a", "number": n}, headers=KEY) for n in (1, 2)]
    assert [each.status_code for each in put] == [201, 200]


def test_the_boundary_of_an_upload_does_not_count(ada: FlaskClient) -> None:
    """Each attempt of a client has another one."""
    assert [scan(ada), scan(ada)] == [201, 200]


@pytest.mark.parametrize(
    "change",
    [{"content": b"12346"}, {"name": "b.txt"}, {"text": "b"}],
    ids=["file", "name", "form"],
)
def test_another_upload_with_the_same_key_is_rejected(
    ada: FlaskClient, change: dict[str, Any]
) -> None:
    """Every part counts."""
    scan(ada)
    assert scan(ada, **change) == 422


def test_a_user_may_use_only_so_many_keys(make_backend: Build) -> None:
    """409; keys of more than a day ago do not count (S-118)."""
    backend = make_backend(notes, idempotency_key_limit=1)
    ada = backend.signed_in_client("ada", "member")
    statuses = [create(ada, headers={"Idempotency-Key": key}).status_code for key in "aab"]
    backend.clock.advance(days=1, seconds=1)
    ada = backend.bearer_client(backend.login("ada")["access_token"])
    statuses.append(create(ada, headers={"Idempotency-Key": "c"}).status_code)
    assert statuses == [201, 200, 409, 201]


def test_a_view_without_the_decorator_is_told_so(
    ada: FlaskClient, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """It would silently create everything twice."""
    assert create(ada, "/notes/careless").status_code == 500
    assert "add @blueprint.idempotent" in capsys.readouterr().err + caplog.text


def race_creates_one(backend: Backend) -> list[int]:
    """Send one request eight times at once; return the statuses."""
    backend.create_user("ada", "member")
    token = backend.login("ada")["access_token"]
    clients = [backend.bearer_client(token) for _ in range(8)]
    responses = race(*[lambda client=client: create(client) for client in clients])
    assert len({response.json["id"] for response in responses}) == 1
    return sorted(response.status_code for response in responses)


def test_concurrent_requests_create_one(backend: Backend) -> None:
    """One is the first; the others wait for its commit and get its id."""
    assert race_creates_one(backend) == [200] * 7 + [201]


def test_the_key_is_documented(backend: Backend) -> None:
    """As a header, with its problems."""
    document: Any = backend.client().get("/openapi.json").json
    operation = document["paths"]["/notes/{folder}"]["post"]
    assert "Idempotency-Key" in [each["name"] for each in operation["parameters"]]
    assert {operation["responses"][s]["$ref"].split("/")[-1] for s in ("409", "422")} == {
        "QuotaExceeded",
        "KeyReused_ValidationFailed",
    }
