"""Add up the JUnit reports of all environments; fail if a required one ran no test.

python .ci/tally.py FOLDER ENVIRONMENT...
"""

import sys
from pathlib import Path
from xml.etree import ElementTree as ET


def count(report: Path) -> tuple[int, int, int]:
    """Return how many tests of a report passed, failed and were skipped; zeros without a report."""
    if not report.exists():
        return 0, 0, 0
    tree = ET.parse(report)  # noqa: S314 - written by pytest in this run
    suites = list(tree.iter("testsuite"))
    total, failures, errors, skipped = (
        sum(int(suite.get(name, "0")) for suite in suites)
        for name in ("tests", "failures", "errors", "skipped")
    )
    return total - failures - errors - skipped, failures + errors, skipped


def main(folder: str, *environments: str) -> int:
    """Print a line per environment and the sum last, in the format that CI services parse."""
    counts = {name: count(Path(folder, f"{name}.xml")) for name in environments}
    for name, (passed, failed, skipped) in counts.items():
        print(f"{name:>10}: {passed} passed, {failed} failed, {skipped} skipped")
    missing = [name for name, (passed, failed, _) in counts.items() if not passed + failed]
    for name in missing:
        print(f"{name} ran no test")
    passed, failed, skipped = (sum(column) for column in zip(*counts.values(), strict=True))
    print(f"{passed} passed, {failed + len(missing)} failed, {skipped} skipped", flush=True)
    return bool(failed or missing)


sys.exit(main(*sys.argv[1:]))
