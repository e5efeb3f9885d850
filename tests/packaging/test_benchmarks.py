"""benchmarks/: what is read from wrk, what counts as a regression, and the form of the results."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

RESULT = (
    'BENCH {"requests":%d,"microseconds":2000000,"status":%d,"socket":0,"p50":900.0,"p99":2500.0}'
)


@pytest.fixture
def bench(root: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The modules of benchmarks/bench, which are imported from their folder."""
    monkeypatch.syspath_prepend(root / "benchmarks")
    names = ("dataset", "expected", "layers", "memory", "results", "wrk")
    modules = {name: importlib.import_module(f"bench.{name}") for name in names}
    return SimpleNamespace(**modules)


def figure(results: ModuleType, median: float) -> object:
    """Return a figure without a spread."""
    return results.figure([median])


def test_the_speed_is_read_from_what_wrk_prints(bench: SimpleNamespace) -> None:
    """Requests per second, and milliseconds."""
    output = f"Running 2s test\n{RESULT % (3000, 0)}\n"
    assert bench.wrk.parse(output) == (1500.0, 0.9, 2.5, 0.0)


@pytest.mark.parametrize(
    "output", [RESULT % (3000, 1), RESULT % (0, 0), "unable to connect"], ids=["one", "none", "no"]
)
def test_a_speed_is_refused_when_a_request_failed(bench: SimpleNamespace, output: str) -> None:
    """An error is often faster than the answer, and says nothing."""
    with pytest.raises(bench.wrk.RequestsRefused):
        bench.wrk.parse(output)


def test_refused_requests_are_no_speed_when_they_are_allowed(bench: SimpleNamespace) -> None:
    """In a storm of sign-ins most of them are refused."""
    speed = bench.wrk.parse(RESULT % (3000, 2400), refusals=True)
    assert (speed.per_second, speed.refused) == (300.0, 0.8)


def test_a_request_is_one_line_of_the_file(bench: SimpleNamespace) -> None:
    """The script of wrk splits it at the tabs."""
    request = bench.wrk.Request("POST", "/refresh", "", "{}")
    assert [*bench.wrk.lines([request])] == ["POST\t/refresh\t\t{}\n"]


def test_a_ratio_is_that_of_each_round(bench: SimpleNamespace) -> None:
    """Noise that slows down a whole round leaves its ratio as it is."""
    assert bench.results.ratio([10, 2, 12], [5, 1, 4]) == bench.results.Figure(2, 2, 3)


@pytest.mark.parametrize(("measured", "lines"), [(0.79, 1), (0.8, 0), (1.4, 0)])
def test_a_ratio_is_a_regression_when_it_is_below_the_spread(
    bench: SimpleNamespace, measured: float, lines: int
) -> None:
    """A better one is none."""
    known = {"gate": {"median": 0.9, "low": 0.8, "high": 1.0}}
    found = [*bench.expected.regressions({"gate": figure(bench.results, measured)}, known)]
    assert len(found) == lines


def test_a_new_ratio_is_no_regression(bench: SimpleNamespace) -> None:
    """A peer that nobody measured before has no committed ratio."""
    assert not [*bench.expected.regressions({"new": figure(bench.results, 0.1)}, {})]


def test_the_committed_ratios_have_their_spread(bench: SimpleNamespace) -> None:
    """`tox -e bench` compares with them."""
    ratios = bench.expected.read().values()
    assert ratios
    assert all(one["low"] <= one["median"] <= one["high"] for one in ratios)


def test_results_tell_how_they_were_measured(bench: SimpleNamespace, tmp_path: Path) -> None:
    """A figure without its machine and its versions cannot be compared."""
    file = tmp_path / "new" / "results.json"
    measured = bench.results.Measured({"gate": figure(bench.results, 0.9)}, {})
    bench.results.write(file, measured)
    written = json.loads(file.read_text())
    assert {"date", "command", "machine", "versions", "details"} < written.keys()
    assert written["ratios"] == {"gate": {"median": 0.9, "low": 0.9, "high": 0.9}}


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="it is of Linux")
def test_the_memory_of_a_service_includes_its_workers(bench: SimpleNamespace) -> None:
    """The workers of a service are processes that its parent started."""
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    ) as worker:
        memory = bench.memory.memory_of(os.getpid())
        assert worker.pid in bench.memory.descendants(os.getpid())
        assert min(memory) > 0


def test_every_program_gets_the_same_items(bench: SimpleNamespace) -> None:
    """Another user has others."""
    first, again, other = ([*bench.dataset.items_of(user, 3)] for user in (1, 1, 2))
    assert first == again
    assert {item.id for item in first}.isdisjoint(item.id for item in other)


@pytest.mark.parametrize(
    ("function", "layer"),
    [
        (("/x/src/itemsapi/gate/gate.py", 1, "check"), "itemsapi.gate"),
        (("/x/site-packages/flask/app.py", 1, "wsgi_app"), "flask"),
        (("~", 0, "<method 'execute' of 'sqlite3.Cursor' objects>"), "SQLite"),
        (("~", 0, "<built-in method builtins.len>"), None),
    ],
)
def test_a_function_belongs_to_a_layer(
    bench: SimpleNamespace, function: tuple[str, int, str], layer: str | None
) -> None:
    """What is written in C belongs to the layer that calls it, if it has none of its own."""
    assert bench.layers.layer_of(function) == layer
