"""The floor of Flask: sqlite3 and jsonify, and no authentication: the header tells the user."""

import os
import sqlite3
import threading

from flask import Flask, abort, jsonify, request

from bench.dataset import PAGE
from bench.plain_database import COLUMNS

FILE = os.environ["BENCH_DATABASE"].removeprefix("sqlite:///")
SELECT = f"SELECT {', '.join(COLUMNS)} FROM item WHERE owner_id = ?"
ONE = f"{SELECT} AND id = ?"
PAGES = f"{SELECT} AND created_at < ? ORDER BY created_at DESC LIMIT {PAGE}"
threads = threading.local()
app = Flask(__name__)


def connection():
    if not hasattr(threads, "connection"):
        threads.connection = sqlite3.connect(FILE)
    return threads.connection


def user():
    return int(request.headers["Authorization"])


def item(row):
    return dict(zip(COLUMNS, row, strict=True))


@app.get("/items")
def list_items():
    before = request.args.get("before", "9")
    return jsonify(items=[item(row) for row in connection().execute(PAGES, [user(), before])])


@app.get("/items/<item_id>")
def show_item(item_id):
    row = connection().execute(ONE, [user(), item_id]).fetchone()
    return jsonify(item(row)) if row else abort(404)
