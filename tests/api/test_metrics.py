"""Metrics for Prometheus."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from itemsapi.observability.metrics import WorkerNumber, render_metrics
from support.app_factory import Backend


@pytest.fixture
def dialect() -> str:
    """Metrics do not depend on the database."""
    return "sqlite"


@pytest.fixture
def watcher(backend: Backend) -> FlaskClient:
    """A program that may read the metrics."""
    return backend.signed_in_client("watcher", "admin", scope="metrics:read")


def test_metrics_are_refused_without_the_scope(backend: Backend) -> None:
    """S-160: exposed only as configured."""
    assert backend.signed_in_client("ada", "member").get("/metrics").status_code == 403


def test_metrics_are_open_when_the_operator_says_so(make_backend: Callable[..., Backend]) -> None:
    """ITEMSAPI_METRICS=public."""
    assert make_backend(metrics="public").client().get("/metrics").status_code == 200


def test_an_answer_is_counted_by_endpoint_and_status(watcher: FlaskClient) -> None:
    """The label is the endpoint, never the address that a client chose."""
    watcher.get("/items/nothing/here")
    counted = 'itemsapi_requests_total{endpoint="none",method="GET",status="404"}'
    assert counted in watcher.get("/metrics").get_data(as_text=True)


def test_a_method_that_a_client_made_up_is_no_label(watcher: FlaskClient) -> None:
    """Or anybody could fill the memory with labels."""
    watcher.open("/items", method="INVENTED")
    assert "INVENTED" not in watcher.get("/metrics").get_data(as_text=True)


def test_events_and_the_age_of_the_feed_are_counted(watcher: FlaskClient) -> None:
    """R-09: staleness is to be seen from outside."""
    text = watcher.get("/metrics").get_data(as_text=True)
    assert 'itemsapi_events_total{event="authn_login_success"}' in text
    assert "itemsapi_revocation_feed_age_seconds 0." in text


def test_any_process_tells_of_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of those that count into the same folder, as the workers of one service do."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    counting = (
        "from itemsapi.observability.metrics import count_request; count_request('GET', 'x', 200)"
    )
    for _ in range(3):
        subprocess.run([sys.executable, "-c", counting], check=True)  # noqa: S603 - our own
    counted = 'itemsapi_requests_total{endpoint="x",method="GET",status="200"} 3.0'
    assert counted in render_metrics().decode()


def test_who_comes_after_a_dead_process_counts_on_in_its_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """R-36: no files of the dead are left over, however many die."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    for _ in range(3):
        subprocess.run([sys.executable, "-c", "import itemsapi.observability.metrics"], check=True)
    assert [path.name for path in tmp_path.glob("*.lock")] == ["0.lock"]


def test_processes_that_live_at_once_have_numbers_of_their_own(tmp_path: Path) -> None:
    """Or they would write over each other's counts."""
    assert [WorkerNumber(tmp_path)() for _ in range(3)] == [0, 1, 2]


def test_a_process_keeps_its_number(tmp_path: Path) -> None:
    """It is asked for at every count."""
    number = WorkerNumber(tmp_path)
    assert number() == number()
