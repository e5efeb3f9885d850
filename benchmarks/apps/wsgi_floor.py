"""The floor: WSGI without a framework; sqlite3, orjson, and tokens of PyJWT that are remembered."""

import os
from pathlib import Path
from urllib.parse import parse_qs

import jwt
import orjson
from bench.dataset import user_names
from bench.plain_database import FIRST_PAGE, Reader, fill

SECRET, FILE = os.environ["BENCH_SECRET"], os.environ["BENCH_DATABASE"].removeprefix("sqlite:///")
MAX_REMEMBERED = 8192
items = Reader(FILE)
remembered = {}


def user_of(authorization):
    claims = remembered.get(authorization)
    if claims is None:
        claims = jwt.decode(authorization.removeprefix("Bearer "), SECRET, ["HS256"])
        if len(remembered) >= MAX_REMEMBERED:
            remembered.clear()
        remembered[authorization] = claims
    return int(claims["sub"])


def written(item):
    return item | {"tags": orjson.Fragment(item["tags"])}


def find(environ, user):
    path = environ["PATH_INFO"]
    if path == "/items":
        before = parse_qs(environ["QUERY_STRING"]).get("before", [FIRST_PAGE])[0]
        return {"items": [written(item) for item in items.page(user, before)]}
    item = items.one(user, path.removeprefix("/items/"))
    return item and written(item)


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
