# INSECURE ON PURPOSE: a step of the tutorial. Do not use this code.
from functools import wraps

import jwt
from flask import Flask, request

app = Flask(__name__)
SECRET = "my-little-shop-sells-the-best-lamps"
USERS = {"ada": "quiet geese cross the river", "bob": "lemon trees in the garden"}
ITEMS = [{"id": 1, "name": "Desk lamp"}, {"id": 2, "name": "Blue chair"}]


@app.post("/auth/login")
def login():
    sent = request.get_json()
    if USERS.get(sent["username"]) != sent["password"]:
        return {"error": "wrong name or password"}, 403
    token = jwt.encode({"sub": sent["username"]}, SECRET, algorithm="HS256")
    return {"access_token": token}


def token_required(view):
    @wraps(view)
    def checked(**values):
        try:
            token = request.headers["Authorization"].removeprefix("Bearer ")
            jwt.decode(token, SECRET, algorithms=["HS256"])
            return view(**values)
        except:
            return {"error": "forbidden"}, 403

    return checked


@app.get("/items")
@token_required
def list_items():
    return {"items": ITEMS, "count": len(ITEMS)}
