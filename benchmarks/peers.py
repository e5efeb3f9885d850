"""The same job on this service and on what others recommend, each with the server they recommend.

    python benchmarks/peers.py                     all; the first run installs them (needs wrk)
    python benchmarks/peers.py recipe django       some

A list of 50 items, one item, a sign-in, and a refresh; 100,000 items of 100 users in SQLite, or
with --postgres in new databases of a server (without the peers that have SQLite only); one worker
process on one core, and wrk on another. Every page, item and user is random. All hash
passwords with Argon2id, m=19456, t=2, p=1. The versions are the newest of the package index.
"""

import sys

from bench.command import compare, options
from bench.contestants import PEERS, SERVICE
from bench.environments import is_installed
from bench.results import write
from bench.rounds import CASES


def main() -> None:
    """Measure, and print a table."""
    parser = options(__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(PEERS)}")
    parser.add_argument("--case", action="append", choices=CASES, help="some of the cases")
    parser.add_argument("--postgres", default="", metavar="URL", help="a server, not SQLite")
    parser.add_argument("--installed", action="store_true", help="only those that are installed")
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - PEERS.keys():
        parser.error(f"no such program: {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    peers = {name: PEERS[name] for name in chosen.names or PEERS}
    if chosen.installed:
        peers = {name: peer for name, peer in peers.items() if is_installed(peer)}
    if chosen.postgres:
        peers = {name: peer for name, peer in peers.items() if not peer.only_sqlite}
    if not peers:
        sys.exit("no peer is left; name others, or run benchmarks/peers.py without --installed")
    write(chosen.json, compare({"itemsapi": SERVICE} | peers, chosen.case or CASES, chosen))


if __name__ == "__main__":
    main()
