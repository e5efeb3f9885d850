"""Flask-JWT-Extended alone, put together from the pages of its documentation."""

import os
from functools import wraps

from flask import Flask, jsonify, request
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    get_jwt,
    get_jwt_identity,
    jwt_required,
    verify_jwt_in_request,
)
from werkzeug.security import check_password_hash, generate_password_hash

app = Flask(__name__)
app.config["JWT_SECRET_KEY"] = os.urandom(32).hex()
app.config["JWT_ACCESS_TOKEN_EXPIRES"] = int(os.environ["ACCESS_SECONDS"])
jwt = JWTManager(app)
password = generate_password_hash(os.environ["PASSWORD"])
users = {"ada": (password, ["orders:read"]), "eve": (password, [])}
blocklist = set()


@jwt.token_in_blocklist_loader
def is_blocked(_header, payload):
    return payload["jti"] in blocklist


def requires(scope):
    def decorate(view):
        @wraps(view)
        def check(*args, **kwargs):
            verify_jwt_in_request()
            if scope not in get_jwt()["scopes"]:
                return jsonify(msg="insufficient scope"), 403
            return view(*args, **kwargs)

        return check

    return decorate


def access_token(name):
    return create_access_token(name, additional_claims={"scopes": users[name][1]})


@app.post("/login")
def login():
    name = request.json["username"]
    if name not in users or not check_password_hash(users[name][0], request.json["password"]):
        return jsonify(msg="wrong"), 401
    return jsonify(access_token=access_token(name), refresh_token=create_refresh_token(name))


@app.post("/refresh")
@jwt_required(refresh=True)
def refresh():
    name = get_jwt_identity()
    blocklist.add(get_jwt()["jti"])
    return jsonify(access_token=access_token(name), refresh_token=create_refresh_token(name))


@app.post("/logout")
@jwt_required(verify_type=False)
def logout():
    blocklist.add(get_jwt()["jti"])
    return jsonify(msg="signed out")


@app.get("/orders")
@requires("orders:read")
def orders():
    return jsonify(orders=[])


@app.get("/open")
def open_to_all():
    return jsonify(hello="world")


@app.get("/forgotten")
def forgotten():
    return jsonify(secret=1)


if __name__ == "__main__":
    app.run(port=int(os.environ["PORT"]))
