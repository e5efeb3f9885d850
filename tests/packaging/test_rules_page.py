"""The program of docs/rules.md does what the page says."""

import hashlib
import hmac
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from itemsapi import AuthLayer, requires
from itemsapi.services import EXTENSION
from itemsapi.testing import MovableClock
from support.app_factory import Backend
from support.tokens import error_code

pytestmark = pytest.mark.dialect("sqlite")  # the page does not depend on the database

SECRET = "whsec_shared_with_the_bank"


@pytest.fixture
def program(
    root: Path, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """The names of the program, which reads its settings from the environment."""
    monkeypatch.setenv("ITEMSAPI_DATABASE_URL", database_url)
    monkeypatch.setenv("ITEMSAPI_DATA_DIR", str(tmp_path))
    page = (root / "docs" / "rules.md").read_text()
    code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {"__name__": "rules_page", "page": page, "further_programs": code[1:]}
    exec(code[0], names)  # noqa: S102 - the page itself
    return names


@pytest.fixture
def backend(program: dict[str, Any]) -> Iterator[Backend]:
    """The application of the page."""
    app = program["app"]
    yield Backend(app, app.extensions[EXTENSION], MovableClock())
    app.extensions[EXTENSION].database.dispose()


def test_a_key_reaches_the_orders_of_its_user(program: dict[str, Any], backend: Backend) -> None:
    """Made as the page shows; an order of somebody else is not there."""
    root, eve = (backend.signed_in_client(name, "admin") for name in ("root", "eve"))
    (body,) = re.findall(r"--json '(.*)'", program["page"])
    key = root.post("/me/api-keys", json=json.loads(body)).get_json()["key"]
    orders = [user.post("/orders").get_json()["order"] for user in (root, eve)]
    client = backend.bearer_client(key)
    assert [client.get(f"/orders/{order}").status_code for order in orders] == [200, 404]


def test_the_bank_marks_an_order_as_paid(program: dict[str, Any], backend: Backend) -> None:
    """By its signature."""
    body, now = json.dumps({"order": 7}).encode(), f"{time.time():.0f}"
    signature = hmac.new(SECRET.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"Stripe-Signature": f"t={now},v1={signature}", "Content-Type": "application/json"}
    response = backend.client().post("/hooks/bank", data=body, headers=headers)
    assert (response.status_code, program["PAID"]) == (200, [7])


def test_a_key_does_not_delete_the_account(backend: Backend) -> None:
    """Its rule names no key."""
    root = backend.signed_in_client("root", "admin")
    made = root.post("/me/api-keys", json={"name": "export", "scopes": ["orders:read"]})
    response = backend.bearer_client(made.get_json()["key"]).delete("/account")
    assert error_code(response) == "credential_not_accepted"


@pytest.mark.parametrize(
    ("key", "outcome"),
    [("a key of the partner", (200, None)), ("another key", (401, 'Partner realm="itemsapi"'))],
)
def test_the_partner_is_known_by_the_key(
    program: dict[str, Any],
    backend: Backend,
    monkeypatch: pytest.MonkeyPatch,
    key: str,
    outcome: tuple[int, str | None],
) -> None:
    """The credential of the page, on another application with the same database."""
    monkeypatch.setenv("PARTNER_KEY", "a key of the partner")
    exec(program["further_programs"][0], program)  # noqa: S102 - the page itself
    app = Flask("partner", static_folder=None)
    AuthLayer(app, credentials=[program["PartnerKey"]()])
    app.get("/orders")(requires(program["ORDERS_READ"], by={"partner"})(lambda: "orders"))
    response = app.test_client().get("/orders", headers={"Authorization": f"Partner {key}"})
    app.extensions[EXTENSION].database.dispose()
    assert (response.status_code, response.headers.get("WWW-Authenticate")) == outcome


def test_a_recent_sign_in_deletes_the_account(backend: Backend) -> None:
    """The view sees the claims."""
    root = backend.signed_in_client("root", "admin")
    assert root.delete("/account").get_json()["deleted"].startswith("tenant of ")


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize(
    ("path", "statuses"),
    [
        ("/", (401, 401)),
        ("/admin", (401, 401)),
        ("/admin/users", (401, 401)),
        ("/api/orders", (401, 401)),
        ("/api/ping", (200, 200)),
        ("/hooks/bank", (401, 200)),
        ("/static/nothing", (404, 405)),
    ],
)
def test_the_keys_of_the_page_decide_as_it_says(
    program: dict[str, Any], path: str, statuses: tuple[int, int]
) -> None:
    """For GET and POST, without a token."""
    exec(program["further_programs"][1], program)  # noqa: S102 - the page itself
    client = program["shop"].test_client()
    assert (client.get(path).status_code, client.post(path).status_code) == statuses
    program["shop"].extensions[EXTENSION].database.dispose()
