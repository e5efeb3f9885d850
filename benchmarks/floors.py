"""This service against what the same job costs without it.

    python benchmarks/floors.py            needs wrk; --quick: two minutes

The floors: WSGI without a framework (sqlite3, orjson, tokens of PyJWT that are remembered), and
plain Flask (sqlite3, jsonify) without authentication; both on granian, with as many threads.
"""

from bench.command import compare, options
from bench.contestants import FLOOR, PLAIN_FLASK, SERVICE
from bench.results import write

if __name__ == "__main__":
    contestants = {"itemsapi": SERVICE, "wsgi": FLOOR, "plain-flask": PLAIN_FLASK}
    chosen = options(__doc__).parse_args()
    write(chosen.json, compare(contestants, ("list", "one"), chosen))
