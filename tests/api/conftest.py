"""Fixtures of several modules here: clients of users, and of endpoints that only return input."""

import pytest
from flask.testing import FlaskClient

from support.app_factory import Backend
from support.echo_blueprint import echo_client


@pytest.fixture
def client(backend: Backend) -> FlaskClient:
    """An anonymous client."""
    return backend.client()


@pytest.fixture
def ada(backend: Backend) -> FlaskClient:
    """A client that a member, ada, signed in with."""
    return backend.signed_in_client("ada", "member")


@pytest.fixture
def eve(backend: Backend) -> FlaskClient:
    """A client that another member signed in with."""
    return backend.signed_in_client("eve", "member")


@pytest.fixture
def admin(backend: Backend) -> FlaskClient:
    """A client of a user who may do everything."""
    return backend.signed_in_client("root", "admin")


@pytest.fixture
def tokens(backend: Backend) -> dict[str, str]:
    """The tokens of ada, who has just signed in."""
    backend.create_user("ada", "member")
    return backend.login("ada")


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    """A client of the echo endpoints, which keep nothing."""
    return echo_client(tmp_path_factory.mktemp("data"))
