"""Results: medians with their spread, ratios, tables in Markdown, files in JSON."""

import json
import os
import platform
import shlex
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

MEASURED_WITH = ("flask", "granian", "itemsapi", "marshmallow", "orjson", "pyjwt", "sqlalchemy")


@dataclass(frozen=True, slots=True)
class Figure:
    """A median of several rounds, and the lowest and the highest of them."""

    median: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        """Return the median and its spread, each in the same format."""
        return f"{self.median:{spec}} ({self.low:{spec}}-{self.high:{spec}})"


def figure(samples: Sequence[float]) -> Figure:
    """Return the figure of some samples."""
    return Figure(statistics.median(samples), min(samples), max(samples))


def ratio(samples: Sequence[float], base: Sequence[float]) -> Figure:
    """Return the ratio of two series that took turns: of each round, because noise hits both."""
    return figure([one / other for one, other in zip(samples, base, strict=True)])


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


class Measured(NamedTuple):
    """What a program measured: ratios by name, and what they were made from, for the JSON file."""

    ratios: dict[str, Figure]
    details: dict[str, Any]

    def __or__(self, other: "Measured") -> "Measured":
        """Return both together."""
        return Measured(self.ratios | other.ratios, self.details | other.details)


def write(path: Path | None, measured: Measured) -> None:
    """Write a report as JSON, if there is a path."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report(measured), indent=1) + "\n")


def report(measured: Measured) -> dict[str, Any]:
    """Return what a JSON file has: the ratios, the details, and how they were measured."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join([Path(sys.executable).name, *sys.argv]),
        "machine": machine(),
        "versions": versions(MEASURED_WITH),
        "ratios": {name: asdict(one) for name, one in measured.ratios.items()},
        "details": measured.details,
    }


def machine() -> dict[str, str | int]:
    """Return what the figures depend on."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of the installed ones of these packages."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
