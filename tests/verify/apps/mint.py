"""Tokens as the applications of this folder make them: `python mint.py smorest|fastapi|django`.

It is the command that `token_command` names, and starts fast: no framework is imported. It reads
`VERIFY_WHO`, `VERIFY_SCOPES` and `VERIFY_KIND`, and the database in the current folder.
"""

import os
import secrets
import sqlite3
import sys
import time
from datetime import UTC, datetime, timedelta

import jwt

SECRET = "a secret of the test that is long enough"
LIFETIME_SECONDS = 600
WHO, SCOPES, KIND = (os.environ[f"VERIFY_{name}"] for name in ("WHO", "SCOPES", "KIND"))
AGE_SECONDS = 2 * LIFETIME_SECONDS if KIND == "expired" else 0


def issued(kind: str, **claims: object) -> str:
    """Return a JWT of one of both kinds."""
    at = int(time.time()) - AGE_SECONDS
    times = {"iat": at, "nbf": at, "exp": at + LIFETIME_SECONDS, "jti": secrets.token_hex(16)}
    return jwt.encode({**times, **claims, "scope": SCOPES, kind: jwt_kind()}, SECRET, "HS256")


def jwt_kind() -> str:
    """Return the kind of a token as both libraries write it."""
    return "refresh" if KIND == "refresh" else "access"


def smorest() -> str:
    """Return a token of Flask-JWT-Extended."""
    return issued("type", sub=WHO, fresh=False)


def django() -> str:
    """Return a token of simplejwt."""
    with sqlite3.connect("django.db") as database:
        number = database.execute("SELECT id FROM auth_user WHERE username = ?", (WHO,)).fetchone()
    return issued("token_type", user_id=str(number[0]))


def fastapi() -> str:
    """Store a token of fastapi-users; there are no refresh tokens."""
    if KIND == "refresh":
        sys.exit(1)
    token, at = secrets.token_urlsafe(), datetime.now(UTC) - timedelta(seconds=AGE_SECONDS)
    with sqlite3.connect("fastapi.db", timeout=20) as database:
        database.execute(
            "INSERT INTO accesstoken (token, user_id, created_at, scopes)"
            " SELECT ?, id, ?, ? FROM user WHERE email = ?",
            (token, at.strftime("%Y-%m-%d %H:%M:%S.%f"), SCOPES, f"{WHO}@example.com"),
        )
    return token


if __name__ == "__main__":
    print({"smorest": smorest, "django": django, "fastapi": fastapi}[sys.argv[1]]())
