"""Control characters are rejected in names, and removed from a user agent (S-115)."""

import json

import pytest
from flask.testing import FlaskClient

from itemsapi.observability.logging import log
from itemsapi.testing import PASSWORD
from support.app_factory import Backend

HOSTILE = [
    "\x1b]52;c;cm0gLXJmIH4=\x07",
    "\x1b[2J",
    "\u009b2J",
    "\u202enimda",
    "\u2067x",
    "\u200e",
    "\u061c",
    "a\u2028b",
    "a\u2029b",
    "laptop\r\nforged",
    "a\nb",
    "a\tb",
    "ab\x7f",
    "\x85",
]
ITEM = {"name": "Lamp", "price": "1.00", "currency": "EUR"}


@pytest.fixture
def admin(backend: Backend) -> FlaskClient:
    """The client of an admin."""
    return backend.signed_in_client("root", "admin")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_device_label_is_rejected_when_it_has_control_characters(
    backend: Backend, text: str
) -> None:
    """The list of sessions must show what is stored."""
    backend.create_user("ada", "member")
    body = {"username": "ada", "password": PASSWORD, "device": text}
    assert backend.client().post("/auth/login", json=body).status_code == 422


@pytest.mark.parametrize("text", HOSTILE)
def test_a_username_is_rejected_when_it_has_control_characters(
    shared_admin: FlaskClient, text: str
) -> None:
    """Like all characters outside of ASCII (S-158)."""
    body = {"username": f"ada{text}", "password": PASSWORD}
    assert shared_admin.post("/users", json=body).status_code == 422


@pytest.mark.parametrize("text", HOSTILE)
def test_a_role_is_rejected_when_it_has_control_characters(
    shared_admin: FlaskClient, text: str
) -> None:
    """In its description."""
    body = {"description": text, "scopes": []}
    assert shared_admin.put("/roles/helpdesk", json=body).status_code == 422


@pytest.mark.parametrize("field", ["name", "sku", "tags"])
@pytest.mark.parametrize("text", HOSTILE)
def test_an_item_is_rejected_when_it_has_control_characters(
    shared_admin: FlaskClient, field: str, text: str
) -> None:
    """Names, numbers and tags have one line each."""
    value: object = [text] if field == "tags" else text
    assert shared_admin.post("/items", json=ITEM | {field: value}).status_code == 422


@pytest.mark.parametrize("text", [entry for entry in HOSTILE if entry not in {"a\nb", "a\tb"}])
def test_a_description_is_rejected_when_it_has_control_characters(
    shared_admin: FlaskClient, text: str
) -> None:
    """Line breaks and tabs are the exception."""
    text = text.replace("\r\n", "\x1b")
    assert shared_admin.post("/items", json=ITEM | {"description": text}).status_code == 422


def test_a_description_may_have_line_breaks(admin: FlaskClient) -> None:
    """As in ordinary text."""
    text = "First line\r\n\tsecond line\nÄ, 日本, 👩\u200d🔧"
    response = admin.post("/items", json=ITEM | {"description": text})
    assert response.get_json()["description"] == text


@pytest.mark.parametrize("text", [entry for entry in HOSTILE if not set("\r\n") & set(entry)])
def test_control_characters_are_removed_from_a_user_agent(backend: Backend, text: str) -> None:
    """It is the default label of a device; no client is rejected because of it."""
    backend.create_user("ada", "member")
    body = {"username": "ada", "password": PASSWORD}
    agent = {"User-Agent": f"curl {text.encode().decode('latin-1')}"}
    tokens = backend.client().post("/auth/login", json=body, headers=agent).get_json()
    sessions = (
        backend.bearer_client(tokens["access_token"]).get("/auth/sessions").get_json()["items"]
    )
    assert sessions[0]["device"].startswith("curl ")
    assert sessions[0]["device"].isprintable()


@pytest.mark.parametrize("text", [*HOSTILE, "\ud800"])
@pytest.mark.usefixtures("backend")
def test_a_log_line_is_ascii(text: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Other characters are escaped as in JSON (S-151)."""
    log.warning("told", words=text, **{f"x{text}": 1})
    line = capfd.readouterr().err.removesuffix("\n")
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["words"] == text
