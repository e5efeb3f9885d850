"""`itemsapi verify URL`: usage, exit codes, and what it never prints."""

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.command_line import CommandResult, Shell
from support.hostile_server import HostileServer, hostile_server, http_answer

DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "x", "version": "1"},
    "security": [{"a": ["x:read"]}],
    "paths": {"/x": {"get": {"responses": {"200": {"description": "x"}}}}},
}
# The same answer to every request: a document for the first, an open route for all others.
OPEN_SERVICE = http_answer(
    json.dumps(DOCUMENT).encode(), "200 OK", "Content-Type: application/json"
)
TOKEN = "opaque-token-of-ada"
MINT = f"token_command = {json.dumps(f'{sys.executable} -c print({TOKEN!r})')}\n".replace(
    f"'{TOKEN}'", f"\\\"'{TOKEN}'\\\""
)


@pytest.fixture
def open_service() -> Iterator[HostileServer]:
    """A service that answers everybody."""
    with hostile_server(OPEN_SERVICE) as server:
        yield server


def run(project: Path, server: HostileServer, *options: str, **settings: Any) -> CommandResult:
    """Run the command in a folder with a `verify.toml`."""
    (project / "verify.toml").write_text(MINT)
    return Shell(settings).run("verify", server.url, *options)


def test_exit_code_is_one_when_a_route_is_open(project: Path, open_service: HostileServer) -> None:
    """The table, the fault and the curl line are there."""
    result = run(project, open_service)
    assert (result.code, "0 of 1 protected operations proved" in result.out) == (1, True)
    assert f"curl -i --path-as-is -X GET {open_service.url[:-13]}/x\n" in result.out


def test_json_is_the_whole_report_when_it_is_asked_for(
    project: Path, open_service: HostileServer
) -> None:
    """A program reads the same findings; no token is among them."""
    result = run(project, open_service, "--json", "--junit", str(project / "j.xml"))
    assert ("GET /x", "no token", "FAULT") in {
        (f["operation"], f["attack"], f["outcome"]) for f in result.json["findings"]
    }
    assert TOKEN not in result.out + (project / "j.xml").read_text()


def test_only_the_host_of_the_url_is_asked(project: Path) -> None:
    """A document that names another host does not move the run there."""
    with hostile_server(OPEN_SERVICE) as other:
        document = DOCUMENT | {"servers": [{"url": f"http://127.0.0.1:{other.port}"}]}
        body = json.dumps(document).encode()
        with hostile_server(http_answer(body)) as server:
            run(project, server)
            assert len(server.received) > 1
        assert other.received == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("", "say who signs in"),
        ("wite = true", "wite is not a setting; did you mean write"),
        ('login = "ada"', "no sign-in that is known"),
        ('token_command = "/nonexistent"', "the token command does not run"),
        ('public = ["GET /y"]', "name 'GET /y', which the document"),
        ('token_command = "false"', "no access token for the user"),
    ],
)
def test_exit_code_is_two_when_the_settings_are_wrong(
    settings: str, message: str, project: Path, open_service: HostileServer
) -> None:
    """One line says what is wrong."""
    (project / "verify.toml").write_text(settings)
    result = Shell().run("verify", open_service.url)
    assert result.code == 2
    assert message in result.err


def test_extra_is_named_when_it_is_not_installed(
    project: Path, open_service: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line says what to install."""
    monkeypatch.setattr(importlib.util, "find_spec", dict[str, None]().get)
    result = run(project, open_service)
    assert result.code == 2
    assert "install itemsapi with its extra `verify`" in result.err


def test_password_is_asked_for_by_name_when_there_is_no_terminal(
    project: Path, open_service: HostileServer
) -> None:
    """A program is told which variable to set."""
    settings = 'login = "ada"\nlogin_request = { path = "/auth/login" }'
    (project / "verify.toml").write_text(settings)
    result = Shell().run("verify", open_service.url)
    assert "put the password of ada into VERIFY_PASSWORD" in result.err


def test_exit_code_is_two_when_the_report_cannot_be_written(
    project: Path, open_service: HostileServer
) -> None:
    """A lost report is no fault of the service."""
    result = run(project, open_service, "--junit", str(project / "nowhere" / "j.xml"))
    assert (result.code, "No such file" in result.err) == (2, True)
