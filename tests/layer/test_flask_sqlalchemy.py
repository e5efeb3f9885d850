"""An application with Flask-SQLAlchemy: its models, its session, one database with the layer."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import flask
import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import String, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from itemsapi import Scope, SqlUsers, requires
from itemsapi.clock import Timer
from itemsapi.db import sqlite
from itemsapi.extension import AuthLayer
from itemsapi.services import EXTENSION
from itemsapi.settings import Settings
from itemsapi.testing import PASSWORD
from support.host_app import cheap_hash


class Base(DeclarativeBase):
    """The base class of the models."""


db = SQLAlchemy(model_class=Base)


class Account(db.Model):  # type: ignore[name-defined, misc]  # typed as an attribute
    """A user of the application."""

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(120), unique=True)
    password: Mapped[str] = mapped_column(String(200))


class Visit(db.Model):  # type: ignore[name-defined, misc]  # as above
    """What the application writes."""

    id: Mapped[int] = mapped_column(primary_key=True)


@pytest.fixture
def app(settings: Settings, host_url: str, timer: Timer) -> Iterator[Flask]:
    """The application, with the user grace."""
    for name, value in (("argon2_memory", 64), ("argon2_time", 1)):
        object.__setattr__(settings, name, value)  # no setting that an operator can write
    app = Flask("shop")
    app.config["SQLALCHEMY_DATABASE_URI"] = host_url
    db.init_app(app)
    users = SqlUsers(
        db.session, Account, username="email", password_hash="password", scopes=_scopes
    )
    AuthLayer(app, users=users, settings=settings, monotonic=timer)
    app.add_url_rule("/visits", "visits", _new_view())
    with app.app_context():
        db.create_all()
        db.session.add(Account(email="grace@example.com", password=cheap_hash()))
        db.session.commit()
    yield app
    app.extensions[EXTENSION].database.dispose()
    with app.app_context():
        db.session.remove()
        db.drop_all()
        db.engine.dispose()


def _scopes(_: Account) -> list[str]:
    return ["visits:read"]


def _new_view() -> Callable[[], str]:
    @requires(Scope("visits:read", "See visits"))
    def count_visits() -> str:
        return str(len(db.session.scalars(select(Visit)).all()))

    return count_visits


def login(app: Flask) -> Any:
    """Sign grace in; return the response."""
    body = {"username": "grace@example.com", "password": PASSWORD}
    return app.test_client().post("/auth/login", json=body)


def stored_hash(app: Flask) -> str:
    """Return the stored hash."""
    with app.app_context():
        return db.session.scalars(select(Account.password)).one()


def test_a_user_signs_in_and_calls_a_view_that_uses_the_session(app: Flask) -> None:
    """And the hash is replaced."""
    headers = {"Authorization": f"Bearer {login(app).get_json()['access_token']}"}
    assert app.test_client().get("/visits", headers=headers).text == "0"
    assert stored_hash(app).startswith("$argon2id$")


def test_a_sign_in_does_not_commit_what_a_hook_left_in_the_session(app: Flask) -> None:
    """The application rolls it back at the end of the request, as always."""
    app.before_request(lambda: db.session.add(Visit()))
    assert login(app).status_code == 200
    with app.app_context():
        assert db.session.scalars(select(Visit)).all() == []


def test_what_a_hook_committed_after_the_sign_in_is_stored(app: Flask) -> None:
    """Its session goes on after the layer's queries."""

    def commit(response: Any) -> Any:
        db.session.commit()
        return response

    app.before_request(lambda: db.session.add(Visit()))
    app.after_request(commit)
    assert login(app).status_code == 200
    with app.app_context():
        assert len(db.session.scalars(select(Visit)).all()) == 1


def test_a_sign_in_does_not_wait_while_the_application_reads(app: Flask) -> None:
    """A hook opened a transaction in the same request, on the same database."""

    def read() -> None:
        db.session.execute(select(Account)).all()

    app.before_request(read)
    started = time.monotonic()
    assert login(app).status_code == 200
    assert time.monotonic() - started < 4  # SQLite would wait five seconds for a lock
    assert stored_hash(app).startswith("$argon2id$")


@pytest.mark.dialect("sqlite")
def test_the_gate_does_not_wait_while_the_application_writes(app: Flask) -> None:
    """On one SQLite file there is one writer, but reading goes on."""

    @app.before_request
    def write() -> None:
        if flask.request.path == "/me":
            db.session.add(Visit())
            db.session.flush()

    headers = {"Authorization": f"Bearer {login(app).get_json()['access_token']}"}
    started = time.monotonic()
    assert app.test_client().get("/me", headers=headers).status_code == 200
    assert time.monotonic() - started < 4


@pytest.fixture
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """The layer waits for a tenth of a second, not for five seconds."""
    monkeypatch.setitem(sqlite.CONNECT_ARGS, "timeout", 0.1)


@pytest.mark.dialect("sqlite")
def test_a_sign_in_is_503_when_the_same_request_keeps_a_write_open(
    short_timeout: None, app: Flask
) -> None:
    """The layer cannot write before the application commits; the client may try again."""

    def write() -> None:
        db.session.add(Visit())
        db.session.flush()

    app.before_request(write)
    response = login(app)
    assert (response.status_code, response.get_json()["code"]) == (503, "database_unavailable")
