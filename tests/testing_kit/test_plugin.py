"""The fixtures for pytest, in a project of somebody else, and what they cost other projects."""

import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = "itemsapi.testing.plugin"
HEAVY = ("flask", "sqlalchemy", "marshmallow", "jwt", "cryptography", "alembic", "itemsapi.app")
CONFTEST = """
import pytest
from flask import Flask
from itemsapi import Scope, requires
from itemsapi.extension import AuthLayer

ORDERS_READ = Scope("orders:read", "See orders")

@pytest.fixture
def app(auth_settings, auth_clock):
    app = Flask("shop", static_folder=None)
    AuthLayer(app, settings=auth_settings, clock=auth_clock)

    @app.get("/orders")
    @requires(ORDERS_READ)
    def list_orders():
        return {}

    return app
"""
TESTS = """
from itemsapi.testing import assert_every_rule_is_enforced, create_user, sign_in

def test_a_caller(caller_client):
    assert caller_client(scopes=["orders:read"]).get("/orders").status_code == 200

def test_a_clock(caller_client, auth_clock):
    client = caller_client(scopes=["orders:read"])
    auth_clock.advance(hours=1)
    assert client.get("/orders").status_code == 401

def test_a_user(auth_app):
    create_user(auth_app, "ada", scopes=["orders:read"])
    assert sign_in(auth_app, "ada").client.get("/orders").status_code == 200

def test_every_rule(auth_app):
    assert_every_rule_is_enforced(auth_app)
"""


def run_project(folder: Path, conftest: str = CONFTEST) -> str:
    """Run the tests of a small project, warnings as errors; return the output.

    The plugin is named, because the package may run from its source, without entry points.
    """
    (folder / "conftest.py").write_text(conftest)
    (folder / "test_orders.py").write_text(TESTS)
    options = ["-q", "-W", "error", "-p", "no:cacheprovider", "-p", "no:itemsapi", "-p", PLUGIN]
    done = subprocess.run(  # noqa: S603 - pytest
        [sys.executable, "-m", "pytest", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


def test_the_fixtures_work_in_a_project(tmp_path: Path) -> None:
    """With `app` defined as for pytest-flask; nothing is left open at the end."""
    assert "4 passed" in run_project(tmp_path)


def test_an_application_with_the_settings_of_development_is_refused(tmp_path: Path) -> None:
    """The tests would write to its database; nothing is created there."""
    output = run_project(tmp_path, CONFTEST.replace("settings=auth_settings, ", ""))
    assert "RuntimeError: the application shop was not built with auth_settings, so" in output
    assert "4 errors" in output
    assert not (tmp_path / "itemsapi-data" / "itemsapi.db").exists()


def test_an_application_with_another_clock_is_refused(tmp_path: Path) -> None:
    """Moving the clock would change nothing, so only the test that moves it fails."""
    output = run_project(tmp_path, CONFTEST.replace(", clock=auth_clock", ""))
    assert "RuntimeError: the application shop was not built with auth_clock, so" in output


def test_a_module_level_layer_takes_the_settings_in_its_factory(tmp_path: Path) -> None:
    """As the guide has it: `auth.init_app(app, settings=..., clock=...)`."""
    layer = "    AuthLayer(app, settings=auth_settings, clock=auth_clock)\n"
    init = "    auth.init_app(app, settings=auth_settings, clock=auth_clock)\n"
    conftest = CONFTEST.replace(layer, init).replace("@pytest", "auth = AuthLayer()\n\n@pytest", 1)
    assert "4 passed" in run_project(tmp_path, conftest)


@pytest.mark.parametrize("module", HEAVY)
def test_the_plugin_imports_nothing_heavy(module: str) -> None:
    """Pytest loads it in every project on the machine that has the package."""
    code = f"import sys, pytest, {PLUGIN}; sys.exit({module!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)  # noqa: S603
    assert done.returncode == 0
