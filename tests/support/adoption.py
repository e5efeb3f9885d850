"""Load the applications of `apps` before and after their adoption, and compare their responses."""

import difflib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from itemsapi import db
from itemsapi.accounts.models import COMMAND_LINE
from itemsapi.composition import Services
from itemsapi.services import EXTENSION

APPS = Path(__file__).parents[1] / "adoption" / "apps"
Version = Literal["before", "after"]


@dataclass(frozen=True)
class Request:
    """A request of a user; `scope` is what the adopted application requires for it."""

    method: str
    path: str
    scope: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the method and the path."""
        return f"{self.method} {self.path}"


def load(name: str, version: Version) -> ModuleType:
    """Import a new copy of an application's module: each test has its own."""
    file = APPS / f"{name}_{version}.py"
    specification = importlib.util.spec_from_file_location(f"{name}_{version}", file)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[module.__name__] = module  # Flask and SQLAlchemy look it up
    specification.loader.exec_module(module)
    return module


def close_own_database(module: ModuleType, app: Flask) -> None:
    """Close the connections of the application's own database, if it has one."""
    if hasattr(module, "db"):
        with app.app_context():
            module.db.session.remove()
            module.db.engine.dispose()


def adoption_diff(name: str) -> list[str]:
    """Return the lines of the unified diff between both versions, without its header."""
    before, after = (
        (APPS / f"{name}_{version}.py").read_text().splitlines() for version in ("before", "after")
    )
    return list(difflib.unified_diff(before, after, lineterm=""))[2:]


def changed_lines(diff: list[str]) -> list[str]:
    """Return the lines that were added or removed, blank ones left out."""
    return [line for line in diff if line[:1] in {"+", "-"} and line[1:].strip()]


def content(response: TestResponse) -> tuple[str, list[tuple[str, str]], bytes]:
    """Return everything of a response; of a session cookie, which has a time, only its data."""
    headers = [
        (name, value.split(".")[0] if name == "Set-Cookie" and "session=" in value else value)
        for name, value in response.headers
    ]
    return response.status, headers, response.data


PASSWORD = "plain horse battery staple"


@dataclass
class Adoption:
    """An application before and after it adopted the layer, and a token with all scopes."""

    before: Flask
    after: Flask
    token: str
    credentials: Mapping[str, str]

    @classmethod
    @contextmanager
    def of(cls, name: str) -> Iterator["Adoption"]:
        """Start both versions; the settings of the layer come from the environment."""
        before, after = load(name, "before"), load(name, "after")
        old, new = before.create_app(), after.create_app()
        for module, app in ((before, old), (after, new)):
            if hasattr(module, "fill"):
                module.fill(app)
        services: Services = new.extensions[EXTENSION]
        db.upgrade(services.database)
        credentials = {"username": "ada@shop.example", "password": "horse"}
        if not hasattr(after, "fill"):
            credentials = {"username": "ada", "password": PASSWORD}
            services.users.create(COMMAND_LINE, "ada", PASSWORD, ["admin"])
        response = new.test_client().post("/auth/login", json=credentials)
        yield cls(old, new, response.get_json()["access_token"], credentials)
        services.database.dispose()
        for module, app in ((before, old), (after, new)):
            close_own_database(module, app)

    def differences(self, requests: list[Request]) -> list[str]:
        """Send the requests to both, with the token where one is needed; return what differs."""
        old, new = self.before.test_client(), self.after.test_client()
        return [
            f"{request}: {was} != {now}"
            for request in requests
            if (was := content(send(old, request))) != (now := content(self._send(new, request)))
        ]

    def token_without(self, scope: str) -> str:
        """Return a token with all scopes of the user except one."""
        scopes = self.after.extensions[EXTENSION].token_codec.verify_access_token(self.token).scopes
        narrowed = {**self.credentials, "scope": " ".join(sorted(scopes - {scope}))}
        response = self.after.test_client().post("/auth/login", json=narrowed)
        return str(response.get_json()["access_token"])

    def _send(self, client: FlaskClient, request: Request) -> TestResponse:
        return send(client, request, self.token if request.scope else None)


def send(client: FlaskClient, request: Request, token: str | None = None) -> TestResponse:
    """Send a request, with a token if there is one."""
    options = dict(request.options)
    if token:
        options["headers"] = {**options.get("headers", {}), "Authorization": f"Bearer {token}"}
    return client.open(request.path, method=request.method, **options)
