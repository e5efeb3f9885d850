"""The floor: WSGI without a framework; sqlite3, orjson, and PyJWT.

`application` remembers tokens, `decoding_application` decodes the token of each request.
"""

import os
import re
import time
from pathlib import Path
from urllib.parse import parse_qs

import jwt
import orjson
from bench.dataset import user_names
from bench.plain_database import FIRST_PAGE, Reader, fill

SECRET, FILE = os.environ["BENCH_SECRET"], os.environ["BENCH_DATABASE"].removeprefix("sqlite:///")
MAX_REMEMBERED, MAX_LIMIT = 8192, 200
ITEM = re.compile(r"/items/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
items = Reader(FILE)
remembered = {}


def decode(authorization):
    return jwt.decode(authorization.removeprefix("Bearer "), SECRET, ["HS256"])


def recall(authorization):
    claims = remembered.get(authorization)
    if claims is None:
        claims = decode(authorization)
        if len(remembered) >= MAX_REMEMBERED:
            remembered.clear()
        remembered[authorization] = claims
    return claims


def user_of(claims):
    if claims["exp"] < time.time() or "items:read" not in claims["scope"].split():
        raise jwt.InvalidTokenError
    return int(claims["sub"])


def written(item):
    return item | {"tags": orjson.Fragment(item["tags"])}


def find(environ, user):
    path = environ["PATH_INFO"]
    if path == "/items":
        query = parse_qs(environ["QUERY_STRING"])
        limit, before = int(query.get("limit", ["50"])[0]), query.get("before", [FIRST_PAGE])[0]
        if not 1 <= limit <= MAX_LIMIT:
            return None
        return {"items": [written(item) for item in items.page(user, before, limit)]}
    found = ITEM.fullmatch(path)
    item = found and items.one(user, found[1])
    return item and written(item)


def application(environ, start_response):
    return respond(environ, start_response, recall)


def decoding_application(environ, start_response):
    return respond(environ, start_response, decode)


def respond(environ, start_response, verify):
    headers = [("Content-Type", "application/json")]
    try:
        found = find(environ, user_of(verify(environ.get("HTTP_AUTHORIZATION", ""))))
    except jwt.InvalidTokenError:
        start_response("401 Unauthorized", headers)
        return [b"{}"]
    start_response("200 OK" if found else "404 Not Found", headers)
    return [orjson.dumps(found)]


if __name__ == "__main__":
    names = user_names(int(os.environ["BENCH_USERS"]))
    fill(Path(FILE), dict.fromkeys(names, "-"), int(os.environ["BENCH_ITEMS"]))
