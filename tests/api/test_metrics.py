"""Metrics for Prometheus."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from itemsapi.observability.prometheus import WorkerNumber, render_metrics
from support.app_factory import Backend

pytestmark = pytest.mark.dialect("sqlite")  # metrics do not depend on the database


@pytest.fixture
def watcher(backend: Backend) -> FlaskClient:
    """A program that may read the metrics."""
    return backend.signed_in_client("watcher", "admin", scope="metrics:read")


def test_metrics_are_forbidden_without_the_scope(backend: Backend) -> None:
    """S-160: exposed only as configured."""
    assert backend.signed_in_client("ada", "member").get("/metrics").status_code == 403


def test_metrics_are_shown_to_an_api_key(backend: Backend) -> None:
    """A scraper has no browser in which somebody signs in again."""
    user = backend.signed_in_client("watcher", "admin")
    body = {"name": "prometheus", "scopes": ["metrics:read"]}
    key = user.post("/me/api-keys", json=body).get_json()["key"]
    assert backend.bearer_client(key).get("/metrics").status_code == 200


def test_metrics_are_public_when_configured(make_backend: Callable[..., Backend]) -> None:
    """ITEMSAPI_METRICS=public."""
    assert make_backend(metrics="public").client().get("/metrics").status_code == 200


def test_a_response_is_counted_by_endpoint_and_status(watcher: FlaskClient) -> None:
    """The label is the endpoint, never the path that a client chose."""
    watcher.get("/items/nothing/here")
    counted = 'itemsapi_requests_total{endpoint="none",method="GET",status="404"}'
    assert counted in watcher.get("/metrics").get_data(as_text=True)


def test_an_unknown_method_is_no_label(watcher: FlaskClient) -> None:
    """Otherwise anybody could fill the memory with labels."""
    watcher.open("/items", method="INVENTED")
    assert "INVENTED" not in watcher.get("/metrics").get_data(as_text=True)


def test_events_and_the_age_of_the_feed_are_counted(watcher: FlaskClient) -> None:
    """R-09: stale revocations are visible from outside."""
    text = watcher.get("/metrics").get_data(as_text=True)
    assert 'itemsapi_events_total{event="authn_login_success"}' in text
    assert "itemsapi_revocation_feed_age_seconds 0." in text


def test_any_process_reports_the_metrics_of_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of all that count in the same folder, as the workers of one service do."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    counting = (
        "from itemsapi.observability import prometheus; prometheus.count_request('GET', 'x', 200)"
    )
    for _ in range(3):
        subprocess.run([sys.executable, "-c", counting], check=True)  # noqa: S603 - our own
    counted = 'itemsapi_requests_total{endpoint="x",method="GET",status="200"} 3.0'
    assert counted in render_metrics().decode()


def test_a_new_process_continues_the_file_of_a_dead_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """R-36: no files of dead processes accumulate."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    for _ in range(3):
        subprocess.run(
            [sys.executable, "-c", "import itemsapi.observability.prometheus"], check=True
        )
    assert [path.name for path in tmp_path.glob("*.lock")] == ["0.lock"]


def test_running_processes_have_different_numbers(tmp_path: Path) -> None:
    """Otherwise they would overwrite each other's counts."""
    assert [WorkerNumber(tmp_path)() for _ in range(3)] == [0, 1, 2]


def test_a_process_keeps_its_number(tmp_path: Path) -> None:
    """It is looked up at every count."""
    number = WorkerNumber(tmp_path)
    assert number() == number()
