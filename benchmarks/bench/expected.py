"""The committed ratios, and whether a new run confirms them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.results import Figure

FILE = Path(__file__).parents[1] / "expected.json"


def regressions(
    ratios: Mapping[str, Figure], expected: Mapping[str, Mapping[str, float]]
) -> Iterator[str]:
    """Yield a line for each ratio that is lower than the spread of the committed one.

    A ratio to another program is larger if the service is faster, one of `gate.py` if the gate is
    cheaper: that one becomes smaller when all the rest becomes faster. One without a committed
    ratio passes, and so does a better one: then the committed ratios should be renewed.
    """
    for name, measured in ratios.items():
        known = expected.get(name)
        if known is not None and measured.median < known["low"]:
            yield (
                f"{name}: {measured.median:.3f} is less than {known['low']:.3f}, the lowest round"
                f" of the committed run (median {known['median']:.3f})"
            )


def read() -> dict[str, dict[str, float]]:
    """Return the committed ratios by name."""
    ratios: dict[str, dict[str, float]] = json.loads(FILE.read_text())["ratios"]
    return ratios
