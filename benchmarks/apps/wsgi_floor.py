"""The floor: WSGI without a framework; sqlite3, orjson, and tokens of PyJWT that are remembered."""

import os
import sqlite3
import threading
from pathlib import Path
from urllib.parse import parse_qs

import jwt
import orjson

from bench.dataset import PAGE, user_names
from bench.plain_database import COLUMNS, fill

SECRET, FILE = os.environ["BENCH_SECRET"], os.environ["BENCH_DATABASE"].removeprefix("sqlite:///")
SELECT = f"SELECT {', '.join(COLUMNS)} FROM item WHERE owner_id = ?"
ONE = f"{SELECT} AND id = ?"
PAGES = f"{SELECT} AND created_at < ? ORDER BY created_at DESC LIMIT {PAGE}"
MAX_REMEMBERED = 8192
threads = threading.local()
remembered = {}


def connection():
    if not hasattr(threads, "connection"):
        threads.connection = sqlite3.connect(FILE)
    return threads.connection


def user_of(authorization):
    claims = remembered.get(authorization)
    if claims is None:
        claims = jwt.decode(authorization.removeprefix("Bearer "), SECRET, ["HS256"])
        if len(remembered) >= MAX_REMEMBERED:
            remembered.clear()
        remembered[authorization] = claims
    return int(claims["sub"])


def item(row):
    fields = dict(zip(COLUMNS, row, strict=True))
    fields["tags"] = orjson.Fragment(fields["tags"])
    return fields


def find(environ, user):
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    if path == "/items":
        before = parse_qs(query).get("before", ["9"])[0]
        return {"items": [item(row) for row in connection().execute(PAGES, [user, before])]}
    row = connection().execute(ONE, [user, path.removeprefix("/items/")]).fetchone()
    return row and item(row)


def application(environ, start_response):
    headers = [("Content-Type", "application/json")]
    try:
        found = find(environ, user_of(environ.get("HTTP_AUTHORIZATION", "")))
    except jwt.InvalidTokenError:
        start_response("401 Unauthorized", headers)
        return [b"{}"]
    start_response("200 OK" if found else "404 Not Found", headers)
    return [orjson.dumps(found)]


if __name__ == "__main__":
    names = user_names(int(os.environ["BENCH_USERS"]))
    fill(Path(FILE), dict.fromkeys(names, "-"), int(os.environ["BENCH_ITEMS"]))
