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


def run_project(folder: Path) -> str:
    """Run the tests of a small project, warnings as errors; return the output.

    The plugin is named, because the package may run from its source, without entry points.
    """
    (folder / "conftest.py").write_text(CONFTEST)
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


@pytest.mark.parametrize("module", HEAVY)
def test_the_plugin_imports_nothing_heavy(module: str) -> None:
    """Pytest loads it in every project on the machine that has the package."""
    code = f"import sys, pytest, {PLUGIN}; sys.exit({module!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)  # noqa: S603
    assert done.returncode == 0
