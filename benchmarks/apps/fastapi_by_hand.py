"""FastAPI tuned by hand: no query for the user, raw rows of SQLite, and orjson."""

import os
import time
from pathlib import Path
from typing import Annotated

import jwt
import orjson
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from bench.dataset import PASSWORD, user_names
from bench.plain_database import FIRST_PAGE, Reader, fill
from fastapi import Depends, FastAPI, HTTPException, Query, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

SECRET, FILE = os.environ["BENCH_SECRET"], os.environ["BENCH_DATABASE"].removeprefix("sqlite:///")
hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
items = Reader(FILE)
app = FastAPI()


class Login(BaseModel):
    username: str
    password: str


class Refresh(BaseModel):
    refresh_token: str


def token(user, kind, seconds):
    claims = {"sub": str(user), "typ": kind, "exp": int(time.time()) + seconds}
    return jwt.encode(claims, SECRET, "HS256")


def user_of(text, kind):
    try:
        claims = jwt.decode(text, SECRET, ["HS256"])
    except jwt.InvalidTokenError:
        raise HTTPException(401) from None
    if claims["typ"] != kind:
        raise HTTPException(401)
    return int(claims["sub"])


async def signed_in(bearer: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]):
    return user_of(bearer.credentials, "access")


User = Annotated[int, Depends(signed_in)]
Limit = Annotated[int, Query(ge=1, le=200)]


def answer(value):
    return Response(orjson.dumps(value), media_type="application/json")


def written(item):
    return item | {"tags": orjson.Fragment(item["tags"])}


@app.post("/login")
def login(body: Login):
    found = items.connection.execute(
        "SELECT id, password_hash FROM users WHERE name = ?", [body.username]
    )
    user, password_hash = found.fetchone() or (0, hasher.hash(""))
    try:
        hasher.verify(password_hash, body.password)
    except VerifyMismatchError:
        raise HTTPException(401) from None
    tokens = {
        "access_token": token(user, "access", 3600),
        "refresh_token": token(user, "refresh", 86400),
    }
    return answer(tokens)


@app.post("/refresh")
async def refresh(body: Refresh):
    return answer({"access_token": token(user_of(body.refresh_token, "refresh"), "access", 3600)})


@app.get("/items")
async def list_items(user: User, before: str = FIRST_PAGE, limit: Limit = 50):
    return answer({"items": [written(item) for item in items.page(user, before, limit)]})


@app.get("/items/{item_id}")
async def show_item(item_id: str, user: User):
    item = items.one(user, item_id)
    if item is None:
        raise HTTPException(404)
    return answer(written(item))


if __name__ == "__main__":
    password_hash = hasher.hash(PASSWORD)
    names = user_names(int(os.environ["BENCH_USERS"]))
    fill(Path(FILE), dict.fromkeys(names, password_hash), int(os.environ["BENCH_ITEMS"]))
