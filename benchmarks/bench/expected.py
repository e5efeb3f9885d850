"""The committed ratios, and whether a new run confirms them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.results import Figure

FILE = Path(__file__).parents[1] / "expected.json"


def regressions(ratios: Mapping[str, Figure], expected: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each ratio that is lower than the spread of the committed one.

    Every ratio is larger if the service is faster. A ratio without a committed one passes, and so
    does a better one: then the committed ones should be renewed.
    """
    for name, measured in ratios.items():
        known = expected.get(name)
        if known is not None and measured.median < known["low"]:
            yield (
                f"{name}: {measured.median:.2f} is less than {known['low']:.2f},"
                f" the lowest of the committed runs (median {known['median']:.2f})"
            )


def read(file: Path = FILE) -> dict[str, Any]:
    """Return the committed ratios by name."""
    ratios: dict[str, Any] = json.loads(file.read_text())["ratios"] if file.exists() else {}
    return ratios
