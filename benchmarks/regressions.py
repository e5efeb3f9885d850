"""Whether this version is slower than the committed ratios say, beyond their spread.

    python benchmarks/regressions.py            `tox -e bench`: some minutes; needs wrk
    python benchmarks/regressions.py --write    renew benchmarks/expected.json

The quick form of gate.py and floors.py, and of peers.py with the peers that are installed. The
program fails if the median of a ratio is lower than the lowest round of the committed run.
"""

import sys

from bench import expected
from bench.command import compare, options
from bench.contestants import FLOORS, PEERS, SERVICE
from bench.environments import is_installed
from bench.results import Measured, write
from gate import run as run_gate

CASES = ("list", "one")


def main() -> None:
    """Measure all; print what became worse, or write the new ratios."""
    parser = options(__doc__)
    parser.add_argument("--write", action="store_true", help="renew the committed ratios")
    parser.set_defaults(quick=True, in_process=False)
    chosen = parser.parse_args()
    peers = {name: peer for name, peer in PEERS.items() if is_installed(peer)}
    measured = compare({"itemsapi": SERVICE} | FLOORS | peers, CASES, chosen) | run_gate(chosen)
    write(chosen.json, measured)
    if chosen.write:
        write(expected.FILE, Measured(measured.ratios, {}))
        return
    worse = [*expected.regressions(measured.ratios, expected.read())]
    for line in worse:
        print(f"worse: {line}", file=sys.stderr)
    sys.exit(1 if worse else 0)


if __name__ == "__main__":
    main()
