"""better-auth-server: its Flask integration; sessions in its database, sent as bearer tokens."""

import os

from better_auth import BetterAuth, EmailAndPassword
from better_auth.config import SessionOptions
from better_auth.integrations.flask import BetterAuthFlask
from flask import Flask, abort, jsonify

auth = BetterAuth(
    secret=os.urandom(32).hex(),
    base_url=f"http://127.0.0.1:{os.environ['PORT']}",
    email_and_password=EmailAndPassword(enabled=True),
    session=SessionOptions(expires_in=int(os.environ["ACCESS_SECONDS"])),
)
ba = BetterAuthFlask(auth)
app = Flask(__name__)
app.register_blueprint(ba.blueprint)


@app.get("/orders")
def orders():
    if ba.require_session()["user"]["name"] != "ada":
        abort(403)
    return jsonify(orders=[])


@app.get("/open")
def open_to_all():
    return jsonify(hello="world")


@app.get("/forgotten")
def forgotten():
    return jsonify(secret=1)


if __name__ == "__main__":
    app.run(port=int(os.environ["PORT"]))
