# INSECURE ON PURPOSE: a step of the tutorial. Do not use this code.
import json
import os
import time
from pathlib import Path

import jwt
from flask import Flask, request
from werkzeug.security import check_password_hash

app = Flask(__name__)
MINUTE = 60
SECRET = os.environ["SHOP_SECRET"]
USERS = json.loads(Path(__file__).with_name("users.json").read_text())
ITEMS = [{"id": 1, "name": "Desk lamp"}, {"id": 2, "name": "Blue chair"}]
PUBLIC = {"login"}
WHO_ARE_YOU = ({"error": "show a valid token"}, 401, {"WWW-Authenticate": "Bearer"})


@app.post("/auth/login")
def login():
    sent = request.get_json()
    if not check_password_hash(USERS.get(sent["username"], ""), sent["password"]):
        return {"error": "wrong name or password"}, 401
    claims = {"sub": sent["username"], "exp": time.time() + 15 * MINUTE}
    return {"access_token": jwt.encode(claims, SECRET, algorithm="HS256")}


@app.before_request
def gate():
    if request.endpoint in PUBLIC:
        return None
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    try:
        jwt.decode(token, SECRET, algorithms=["HS256"], options={"require": ["exp"]})
    except jwt.InvalidTokenError:
        return WHO_ARE_YOU
    return None


@app.get("/items")
def list_items():
    return {"items": ITEMS, "count": len(ITEMS)}


@app.delete("/items/<int:number>")
def delete_item(number):
    ITEMS[:] = [item for item in ITEMS if item["id"] != number]
    return "", 204
