"""The floor of Flask: sqlite3 and jsonify, and no authentication: the header tells the user."""

import os

from bench.plain_database import FIRST_PAGE, Reader
from flask import Flask, abort, jsonify, request

items = Reader(os.environ["BENCH_DATABASE"].removeprefix("sqlite:///"))
app = Flask(__name__)


def user():
    return int(request.headers["Authorization"])


@app.get("/items")
def list_items():
    before, limit = request.args.get("before", FIRST_PAGE), request.args.get("limit", 50, int)
    return jsonify(items=items.page(user(), before, limit))


@app.get("/items/<item_id>")
def show_item(item_id):
    item = items.one(user(), item_id)
    return jsonify(item) if item else abort(404)
