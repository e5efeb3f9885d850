"""The health endpoints, for load balancers."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from itemsapi.db import schema_probe
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


@pytest.mark.parametrize("table", ["itemsapi_alembic_version", "itemsapi_item_version"])
def test_the_service_is_not_ready_when_tables_are_older_than_it_needs(
    backend: Backend, client: FlaskClient, table: str
) -> None:
    """R-21: the load balancer waits for `itemsapi db upgrade`, and sends nothing to it."""
    with backend.services.database.transaction() as tx:
        tx.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - from the list above
    assert client.get("/health/ready").status_code == 503


@pytest.mark.parametrize("table", ["itemsapi_alembic_version", "itemsapi_item_version"])
def test_an_old_process_stays_ready_when_tables_are_newer(
    backend: Backend, client: FlaskClient, table: str
) -> None:
    """R-21: it goes on beside the new ones until it is stopped."""
    with backend.services.database.transaction() as tx:
        tx.execute(text(f"UPDATE {table} SET version_num = '9999'"))  # noqa: S608 - as above
    assert client.get("/health/ready").status_code == 200


def test_a_process_is_ready_once_the_tables_are_upgraded(
    backend: Backend, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It need not be restarted."""
    monkeypatch.setattr(schema_probe, "PROBE_INTERVAL_SECONDS", 0.0)
    with backend.services.database.transaction() as tx:
        tx.execute(text("DELETE FROM itemsapi_item_version"))
    before = client.get("/health/ready").status_code
    with backend.services.database.transaction() as tx:
        tx.execute(text("INSERT INTO itemsapi_item_version VALUES ('0001')"))
    assert (before, client.get("/health/ready").status_code) == (503, 200)


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
