"""What works without the extras, and what is said where one is missing.

Each test runs a process in which the modules of the extras cannot be imported.
"""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import itemsapi
from itemsapi.extras import extra

EXTRAS = ("granian", "limits", "prometheus_client", "psycopg", "redis", "rich", "uvloop")
COMMAND = "import itemsapi.cli; itemsapi.cli.main()"
HOST = """
import sys
from flask import Flask
from itemsapi.cli import main
from itemsapi.extension import AuthLayer
from itemsapi.gate.decorators import signed_in

app = Flask(__name__)
AuthLayer(app)
app.get("/mine")(signed_in(lambda: "mine"))
client = app.test_client()
"""
SIGN_IN = """
login = client.post("/auth/login", json={"username": "ada", "password": sys.argv[1]})
bearer = {"Authorization": f"Bearer {login.json['access_token']}"}
print(client.get("/mine").status_code, client.get("/mine", headers=bearer).text)
"""
MAX_HARD_DEPENDENCIES = 10


def run(
    folder: Path, code: str, *arguments: str, without: Sequence[str] = EXTRAS, **settings: Any
) -> "subprocess.CompletedProcess[str]":
    """Run Python code in a process that cannot import some modules."""
    missing = f"import sys; sys.modules.update(dict.fromkeys({tuple(without)!r}))\n"
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("ITEMSAPI_")}
    ours = {f"ITEMSAPI_{name.upper()}": value for name, value in settings.items()}
    return subprocess.run(
        [sys.executable, "-c", missing + code, *arguments],
        cwd=folder,
        env={**inherited, "ITEMSAPI_DATA_DIR": str(folder), **ours},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def add_user(folder: Path) -> str:
    """Create the database and a user; return the password."""
    run(folder, COMMAND, "db", "upgrade")
    done = run(folder, COMMAND, "users", "add", "ada", "--role", "member")
    (password,) = re.findall(r"Password\W+(\S+)", done.stdout)
    return str(password)


def test_a_host_signs_users_in_without_any_extra(tmp_path: Path) -> None:
    """The layer needs its ten hard dependencies only."""
    done = run(tmp_path, HOST + SIGN_IN, add_user(tmp_path))
    assert (done.stdout, done.returncode) == ("401 mine\n", 0), done.stderr


def test_the_layer_imports_no_extra_that_it_does_not_use(tmp_path: Path) -> None:
    """Nothing heavy is imported before it is used: Alembic neither."""
    listing = "print(*sorted(set(sys.modules) & {*sys.argv[1:]}))"
    done = run(tmp_path, HOST + listing, *EXTRAS, "alembic", without=())
    assert (done.stdout, done.returncode) == ("\n", 0), done.stderr


def test_tables_are_plain_without_rich(tmp_path: Path) -> None:
    """Columns are padded with blanks."""
    add_user(tmp_path)
    heading, row = run(tmp_path, COMMAND, "users", "list").stdout.splitlines()
    assert row.startswith("ada ")
    assert row.index("member") == heading.index("Roles")


def test_a_purge_needs_no_progress_bar(tmp_path: Path) -> None:
    """It shows none without rich."""
    add_user(tmp_path)
    assert run(tmp_path, COMMAND, "purge").returncode == 0


CREATE_APP = "from itemsapi import create_app; create_app()"
HINTS: dict[str, tuple[str, tuple[str, ...], dict[str, str], str]] = {
    "server": (
        COMMAND,
        ("serve",),
        {},
        "`itemsapi serve` needs the package granian",
    ),
    "postgres": (
        COMMAND,
        ("users", "list"),
        {"database_url": "postgresql://127.0.0.1:1/x"},
        "ITEMSAPI_DATABASE_URL=postgresql:// needs the package psycopg",
    ),
    "redis": (
        HOST,
        (),
        {"rate_limit_url": "redis://127.0.0.1:1/0"},
        "ITEMSAPI_RATE_LIMIT_URL needs the package limits",
    ),
    "metrics": (
        CREATE_APP,
        (),
        {},
        "GET /metrics needs the package prometheus_client",
    ),
}


@pytest.mark.parametrize("extra_name", HINTS)
def test_a_missing_extra_is_one_line_that_says_what_to_install(
    tmp_path: Path, extra_name: str
) -> None:
    """A command ends with it; an application raises it."""
    code, arguments, settings, hint = HINTS[extra_name]
    done = run(tmp_path, code, *arguments, **settings)
    line = f"{hint}; install itemsapi with its extra `{extra_name}`"
    assert (done.returncode, done.stderr.splitlines()[-1].partition(": ")[2]) == (1, line)


def test_a_module_of_ours_that_is_missing_is_no_missing_extra() -> None:
    """A fault of the package must not look like an installation to complete."""
    with pytest.raises(ModuleNotFoundError), extra("server", "a test"):
        __import__("itemsapi.nothing")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """The section `project` of pyproject.toml."""
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    section: dict[str, Any] = tomllib.loads(text)["project"]
    return section


def test_there_are_ten_hard_dependencies(project: dict[str, Any]) -> None:
    """Each one more is one more that may not fit beside those of a host."""
    assert len(project["dependencies"]) == MAX_HARD_DEPENDENCIES


def test_no_dependency_has_an_upper_bound(project: dict[str, Any]) -> None:
    """It would bind every application that installs the package."""
    # `verify` is a program for a development machine, and uses what Schemathesis may change.
    optional = {k: v for k, v in project["optional-dependencies"].items() if k != "verify"}
    extras = [name for extra in optional.values() for name in extra]
    assert not re.search(r"<(?!.*python_version)|==|~=|!=", " ".join(project["dependencies"]))
    assert [name for name in extras if "<" in name.partition(";")[0]] == []


# Modules that need an extra; they are imported inside functions only.
EXTRA_MODULES = {
    "itemsapi/db/postgres_backup.py",
    "itemsapi/db/postgres_connections.py",
    "itemsapi/db/postgres.py",
    "itemsapi/observability/prometheus.py",
    "itemsapi/server/supervisor.py",
}


def imported_at_once(path: Path) -> set[str]:
    """Return the top-level names of the modules that a file imports when it is imported."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def test_extras_are_imported_where_they_are_used() -> None:
    """Only five modules import one at once, and nothing imports these five at once."""
    source = Path(itemsapi.__file__).parents[1]
    importing = {
        str(path.relative_to(source))
        for path in (source / "itemsapi").rglob("*.py")
        if imported_at_once(path) & set(EXTRAS)
    }
    assert importing == EXTRA_MODULES
