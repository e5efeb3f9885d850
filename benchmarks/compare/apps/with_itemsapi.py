"""itemsapi: `AuthLayer` on a plain Flask application."""

import os

from flask import Flask, jsonify

from itemsapi import AuthLayer, Scope, public, requires

app = Flask(__name__)
auth = AuthLayer(app)
ORDERS_READ = Scope("orders:read", "See your orders")


@app.get("/orders")
@requires(ORDERS_READ)
def orders():
    return jsonify(orders=[])


@app.get("/open")
@public("a greeting")
def open_to_all():
    return jsonify(hello="world")


@app.get("/forgotten")
def forgotten():
    return jsonify(secret=1)


if __name__ == "__main__":
    app.run(port=int(os.environ["PORT"]))
