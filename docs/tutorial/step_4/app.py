# INSECURE ON PURPOSE: a step of the tutorial. Do not use this code.
import json
import os
from functools import wraps
from pathlib import Path

import jwt
from flask import Flask, request
from werkzeug.security import check_password_hash

app = Flask(__name__)
SECRET = os.environ["SHOP_SECRET"]
USERS = json.loads(Path(__file__).with_name("users.json").read_text())
ITEMS = [{"id": 1, "name": "Desk lamp"}, {"id": 2, "name": "Blue chair"}]
WHO_ARE_YOU = ({"error": "show a valid token"}, 401, {"WWW-Authenticate": "Bearer"})


@app.post("/auth/login")
def login():
    sent = request.get_json()
    if not check_password_hash(USERS.get(sent["username"], ""), sent["password"]):
        return {"error": "wrong name or password"}, 401
    token = jwt.encode({"sub": sent["username"]}, SECRET, algorithm="HS256")
    return {"access_token": token}


def token_required(view):
    @wraps(view)
    def checked(**values):
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            jwt.decode(token, SECRET, algorithms=["HS256"])
        except jwt.InvalidTokenError:
            return WHO_ARE_YOU
        return view(**values)

    return checked


@app.get("/items")
@token_required
def list_items():
    return {"items": ITEMS, "count": len(ITEMS)}
