"""The application of "A page on another port" in docs/spa.md, called as a browser does."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from itemsapi.services import EXTENSION
from itemsapi.testing import PASSWORD, MovableClock
from support.app_factory import Backend
from support.real_server import running_server

pytestmark = pytest.mark.dialect("sqlite")  # the page does not depend on the database

PAGE = "http://localhost:5173"
CREDENTIALS = '{"username": "ada", "password": "correct horse battery staple"}'
needs_curl = pytest.mark.skipif(
    shutil.which("curl") is None and os.environ.get("CI") != "true", reason="needs curl"
)
SIGN_IN = {"username": "ada", "password": PASSWORD}
BY_COOKIE = {"Origin": PAGE, "X-Auth-Delivery": "cookie", "Sec-Fetch-Site": "same-site"}


@pytest.fixture
def app(root: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """The application of the page."""
    monkeypatch.setenv("ITEMSAPI_DATABASE_URL", database_url)
    monkeypatch.setenv("ITEMSAPI_SECRET_KEY", "t3st-only-0123456789-abcdefghijklmnopqrstuvwxyz")
    section = (root / "docs" / "spa.md").read_text("utf-8").split("## A page on another port")[1]
    (code,) = re.findall(r"```python\n(.*?)```", section.split("\n## ")[0], re.DOTALL)
    names: dict[str, Any] = {"__name__": "spa_page"}
    exec(code, names)  # noqa: S102 - the page itself
    yield names["app"]
    names["app"].extensions[EXTENSION].database.dispose()


@pytest.fixture
def browser(app: Flask) -> FlaskClient:
    """A client with cookies; the user `ada` is an admin."""
    Backend(app, app.extensions[EXTENSION], MovableClock()).signed_in_client("ada", "admin")
    return app.test_client()


def preflight(browser: FlaskClient, path: str) -> TestResponse:
    """Ask whether the page may send the request that the client is about to send."""
    asked = {
        "Origin": PAGE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-auth-delivery",
    }
    return browser.options(path, headers=asked)


@pytest.mark.parametrize("path", ["/auth/login", "/auth/refresh", "/orders"])
def test_the_page_may_send_each_request(browser: FlaskClient, path: str) -> None:
    """To the layer, with its cookie, and to a route of the application."""
    headers = preflight(browser, path).headers
    assert headers["Access-Control-Allow-Origin"] == PAGE
    assert ("Access-Control-Allow-Credentials" in headers) == path.startswith("/auth/")
    assert "Authorization" in headers["Access-Control-Allow-Headers"]


def test_the_page_signs_in_refreshes_and_calls_a_route(browser: FlaskClient) -> None:
    """Each response is readable for the page."""
    base = "http://localhost:5000"
    signed_in = browser.post("/auth/login", json=SIGN_IN, headers=BY_COOKIE, base_url=base)
    renewed = browser.post("/auth/refresh", json={}, headers=BY_COOKIE, base_url=base)
    bearer = {"Authorization": f"Bearer {renewed.get_json()['access_token']}", "Origin": PAGE}
    called = browser.post("/orders", headers=bearer, base_url=base)
    assert [each.status_code for each in (signed_in, renewed, called)] == [200, 200, 201]
    readable = [
        each.headers["Access-Control-Allow-Origin"] for each in (signed_in, renewed, called)
    ]
    assert readable == [PAGE] * 3


def test_the_client_is_where_the_page_says(browser: FlaskClient) -> None:
    """A page of another origin may import it."""
    response = browser.get("/client.js", headers={"Origin": PAGE})
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert response.status_code == 200


@needs_curl
def test_the_commands_of_curl_sign_in_refresh_and_sign_out(root: Path, tmp_path: Path) -> None:
    """With the cookie of the sign-in. The port and the user of the test are others."""
    section = (root / "docs" / "spa.md").read_text("utf-8").split("## Try it with curl")[1]
    (script,) = re.findall(r"```sh\n(.*?)```", section.split("\n## ")[0], re.DOTALL)
    with running_server(tmp_path) as server:
        replacements = {
            "localhost:8000": f"127.0.0.1:{server.port}",  # its ITEMSAPI_PUBLIC_URL
            CREDENTIALS: json.dumps({"username": "wire", "password": PASSWORD}),
            "curl -s": "curl -sw '%{http_code}\\n' -o /dev/null",
        }
        for documented, used in replacements.items():
            script = script.replace(documented, used)
        command = ["bash", "-c", script]
        output = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert output.stdout.split() == ["200", "200", "204"]
