"""The health endpoints, for load balancers."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from itemsapi.issuer.sessions import end_all_sessions
from support.app_factory import Backend


@pytest.mark.parametrize("path", ["live", "ready"])
def test_a_healthy_service_says_ok(client: FlaskClient, path: str) -> None:
    """S-160: one word, and nothing about versions."""
    response = client.get(f"/health/{path}")
    assert (response.status_code, response.get_json()) == (200, {"status": "ok"})


def test_the_service_is_ready_after_all_sessions_ended(
    backend: Backend, client: FlaskClient
) -> None:
    """R-19: a mass revocation must not take every worker out of the load balancer."""
    end_all_sessions(backend.services.issuer, why="a test")
    assert client.get("/health/ready").status_code == 200


@pytest.mark.parametrize("table", ["itemsapi_revocation", "itemsapi_signing_key"])
def test_the_service_is_not_ready_without_its_dependencies(
    backend: Backend, client: FlaskClient, table: str
) -> None:
    """R-03: 503 from the start, although it is alive."""
    with backend.services.database.transaction() as tx:
        tx.connection().exec_driver_sql(f"ALTER TABLE {table} RENAME TO away")
    response = client.get("/health/ready")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert client.get("/health/live").status_code == 200


@pytest.mark.parametrize("path", ["live", "ready"])
def test_health_has_no_rate_limit(make_backend: Callable[..., Backend], path: str) -> None:
    """R-09: a load balancer never gets 429, and uses up no limit of others at its address."""
    balancer = make_backend(rate_limit="2/hour").client()
    statuses = {balancer.get(f"/health/{path}").status_code for _ in range(5)}
    others = [balancer.get("/.well-known/jwks.json").status_code for _ in range(3)]
    assert (statuses, others) == ({200}, [200, 200, 429])


def test_health_is_not_cached(client: FlaskClient) -> None:
    """A cached response would be misleading."""
    assert client.get("/health/ready").headers["Cache-Control"] == "no-store"


def test_the_wsgi_entry_point_is_an_application(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`itemsapi.wsgi:application`, with the settings of the environment."""
    monkeypatch.setenv("ITEMSAPI_DATA_DIR", str(tmp_path))
    monkeypatch.delitem(sys.modules, "itemsapi.wsgi", raising=False)  # built when it is imported
    application = importlib.import_module("itemsapi.wsgi").application
    assert application.test_client().get("/health/live").get_json() == {"status": "ok"}
