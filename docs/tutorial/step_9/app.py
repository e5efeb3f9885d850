# INSECURE ON PURPOSE: a step of the tutorial. Do not use this code.
import json
import os
import secrets
import time
from pathlib import Path

import jwt
from flask import Flask, request
from werkzeug.security import check_password_hash

app = Flask(__name__)
MINUTE, DAY = 60, 24 * 60 * 60
SECRET = os.environ["SHOP_SECRET"]
USERS = json.loads(Path(__file__).with_name("users.json").read_text())
ITEMS = [{"id": 1, "name": "Desk lamp"}, {"id": 2, "name": "Blue chair"}]
SCOPES = {"ada": "items:read items:write", "bob": "items:read"}
SESSIONS = set()
PUBLIC = {"login", "refresh", "logout"}
RULES = {"list_items": "items:read", "delete_item": "items:write"}
WHO_ARE_YOU = ({"error": "show a valid token"}, 401, {"WWW-Authenticate": "Bearer"})
NOT_ALLOWED = ({"error": "your token lacks the scope"}, 403)


def issue(kind, name, lifetime, **more):
    claims = {"kind": kind, "sub": name, "exp": time.time() + lifetime, **more}
    return jwt.encode(claims, SECRET, algorithm="HS256")


def read(kind, token):
    claims = jwt.decode(token, SECRET, algorithms=["HS256"], options={"require": ["exp"]})
    if claims.get("kind") != kind or claims["sid"] not in SESSIONS:
        raise jwt.InvalidTokenError("another kind of token, or a session that has ended")
    return claims


def access_token(name, sid):
    return issue("access", name, 15 * MINUTE, sid=sid, scope=SCOPES[name])


def refresh_token(name, sid):
    return issue("refresh", name, 30 * DAY, sid=sid)


@app.post("/auth/login")
def login():
    sent = request.get_json()
    if not check_password_hash(USERS.get(sent["username"], ""), sent["password"]):
        return {"error": "wrong name or password"}, 401
    name, sid = sent["username"], secrets.token_hex(16)
    SESSIONS.add(sid)
    return {"access_token": access_token(name, sid), "refresh_token": refresh_token(name, sid)}


@app.post("/auth/refresh")
def refresh():
    try:
        claims = read("refresh", request.get_json()["refresh_token"])
    except jwt.InvalidTokenError:
        return WHO_ARE_YOU
    return {"access_token": access_token(claims["sub"], claims["sid"])}


@app.post("/auth/logout")
def logout():
    try:
        SESSIONS.discard(read("refresh", request.get_json()["refresh_token"])["sid"])
    except jwt.InvalidTokenError:
        return WHO_ARE_YOU
    return "", 204


@app.before_request
def gate():
    if request.endpoint in PUBLIC:
        return None
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    try:
        claims = read("access", token)
    except jwt.InvalidTokenError:
        return WHO_ARE_YOU
    return None if RULES.get(request.endpoint) in claims["scope"].split() else NOT_ALLOWED


@app.get("/items")
def list_items():
    return {"items": ITEMS, "count": len(ITEMS)}


@app.delete("/items/<int:number>")
def delete_item(number):
    ITEMS[:] = [item for item in ITEMS if item["id"] != number]
    return "", 204
