"""This service against what the same job costs without it.

    python benchmarks/floors.py            needs wrk; --quick: two minutes

The floors: WSGI without a framework (sqlite3, orjson; PyJWT with the token remembered, and decoded
in each request), and plain Flask (sqlite3, jsonify) without authentication; all on granian, with as
many threads.
"""

from bench.command import compare, options
from bench.contestants import FLOORS, SERVICE
from bench.results import write

if __name__ == "__main__":
    chosen = options(__doc__).parse_args()
    write(chosen.json, compare({"itemsapi": SERVICE} | FLOORS, ("list", "one"), chosen))
