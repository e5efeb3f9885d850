"""Control characters are refused where people are named, and taken out of a user agent (S-115)."""

import json

import pytest
from flask.testing import FlaskClient

from itemsapi.observability.logging import log
from support.app_factory import PASSWORD, Backend

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
def test_a_device_label_with_controls_is_refused(backend: Backend, text: str) -> None:
    """Whoever looks at the list of sessions must see what is there."""
    backend.create_user("ada", "member")
    body = {"username": "ada", "password": PASSWORD, "device": text}
    assert backend.client().post("/auth/login", json=body).status_code == 422


@pytest.mark.parametrize("text", HOSTILE)
def test_a_user_name_with_controls_is_refused(admin: FlaskClient, text: str) -> None:
    """As everything that is not ASCII is (S-158)."""
    body = {"username": f"ada{text}", "password": PASSWORD}
    assert admin.post("/users", json=body).status_code == 422


@pytest.mark.parametrize("text", HOSTILE)
def test_a_role_with_controls_is_refused(admin: FlaskClient, text: str) -> None:
    """In its description."""
    body = {"description": text, "scopes": []}
    assert admin.put("/roles/helpdesk", json=body).status_code == 422


@pytest.mark.parametrize("field", ["name", "sku", "tags"])
@pytest.mark.parametrize("text", HOSTILE)
def test_an_item_with_controls_is_refused(admin: FlaskClient, field: str, text: str) -> None:
    """Names, numbers and tags are one line each."""
    given: object = [text] if field == "tags" else text
    assert admin.post("/items", json=ITEM | {field: given}).status_code == 422


@pytest.mark.parametrize("text", [one for one in HOSTILE if one not in {"a\nb", "a\tb"}])
def test_a_description_with_controls_is_refused(admin: FlaskClient, text: str) -> None:
    """It may have lines and tabs, and no other controls."""
    text = text.replace("\r\n", "\x1b")
    assert admin.post("/items", json=ITEM | {"description": text}).status_code == 422


def test_a_description_may_have_lines(admin: FlaskClient) -> None:
    """As people write them."""
    text = "First line\r\n\tsecond line\nÄ, 日本, 👩\u200d🔧"
    answer = admin.post("/items", json=ITEM | {"description": text})
    assert answer.get_json()["description"] == text


@pytest.mark.parametrize("text", [one for one in HOSTILE if not set("\r\n") & set(one)])
def test_controls_are_taken_out_of_a_user_agent(backend: Backend, text: str) -> None:
    """It becomes the label of a device that did not name itself; no client is refused for it."""
    backend.create_user("ada", "member")
    body = {"username": "ada", "password": PASSWORD}
    agent = {"User-Agent": f"curl {text.encode().decode('latin-1')}"}
    tokens = backend.client().post("/auth/login", json=body, headers=agent).get_json()
    found = backend.bearer_client(tokens["access_token"]).get("/auth/sessions").get_json()["items"]
    assert found[0]["device"].startswith("curl ")
    assert found[0]["device"].isprintable()


@pytest.mark.parametrize("text", [*HOSTILE, "\ud800"])
@pytest.mark.usefixtures("backend")
def test_a_log_line_is_ascii_whatever_it_tells(
    text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Escaped as JSON has it (S-151)."""
    log.warning("told", words=text, **{f"x{text}": 1})
    line = capfd.readouterr().err.removesuffix("\n")
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["words"] == text
