"""The commands on an application with users of its own."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from itemsapi.cli.first_start import first_admin
from itemsapi.services import EXTENSION
from support.command_line import SECRET, CommandResult, Shell

pytestmark = pytest.mark.dialect("sqlite")

HOST = """
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from werkzeug.security import generate_password_hash

from itemsapi import AuthLayer, SqlUsers


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class Reader(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]


app = Flask("library")
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///{folder}/readers.db"
app.config["ITEMSAPI_DATABASE_URL"] = "sqlite:///layer.db"
db.init_app(app)
users = SqlUsers(db.session, Reader, enabled=None, scopes=lambda reader: [])
AuthLayer(app, users=users)
with app.app_context():
    db.create_all()
    hashed = generate_password_hash("a password of grace", "pbkdf2:sha256:1000")
    db.session.add(Reader(id=7, username="grace", password_hash=hashed))
    db.session.commit()
"""
WORDS = "itemsapi: the users of this application are its own; change them there\n"


@pytest.fixture
def host(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The application, whose user grace is signed in."""
    monkeypatch.setenv("ITEMSAPI_SECRET_KEY", SECRET)
    monkeypatch.syspath_prepend(project)
    (project / "library.py").write_text(HOST.replace("{folder}", str(project)), "utf-8")
    assert run("db", "upgrade").code == 0
    from library import app, db  # type: ignore[import-not-found]  # noqa: PLC0415 - just written

    credentials = {"username": "grace", "password": "a password of grace"}
    response = app.test_client().post("/auth/login", json=credentials)
    assert response.status_code == 200, response.text
    yield app
    with app.app_context():
        db.engine.dispose()
    app.extensions[EXTENSION].database.dispose()
    sys.modules.pop("library")


def run(*words: str) -> CommandResult:
    """Run a command on the application."""
    return Shell().run("--app", "library:app", *words)


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize("name", ["grace", "7"])
def test_sessions_are_listed_and_ended(name: str) -> None:
    """By the name or the id that users have in the application."""
    assert len(run("sessions", "list", name, "--json").json) == 1
    assert run("sessions", "end", name).out == f"Ended 1 session of {name}.\n"


@pytest.mark.usefixtures("host")
def test_check_warns_of_ids_that_sqlite_gives_again() -> None:
    """S-122: the next user would get what a deleted one left behind."""
    found = {each["subject"]: each for each in run("check", "--json").json["findings"]}["user ids"]
    assert found["severity"] == "warning"
    assert found["message"].startswith("SQLite gives the id of a deleted user again; write")


def test_check_reports_a_table_of_users_that_is_missing(host: Any) -> None:
    """Each sign-in would be a 503."""
    from library import db  # noqa: PLC0415 - just written

    with host.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE reader")
    done = run("check")
    words = "FAULT  users: nobody can sign in, because they cannot be read: "
    assert (done.code, words in done.out, "no such table: reader" in done.out) == (1, True, True)


@pytest.mark.usefixtures("host")
def test_an_unknown_user_is_reported() -> None:
    """In one line."""
    done = run("sessions", "end", "nobody")
    assert (done.code, done.err) == (1, "itemsapi: There is no user nobody.\n")


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize(
    "words",
    [
        ("users", "list"),
        ("users", "add", "ada"),
        ("users", "disable", "grace"),
        ("users", "add-role", "grace", "admin"),
        ("serve", "--admin", "ada"),
    ],
    ids=" ".join,
)
def test_users_are_not_changed_in_the_tables_of_the_layer(words: tuple[str, ...]) -> None:
    """Nobody could sign in as such a user."""
    done = run(*words)
    assert (done.code, done.err) == (1, WORDS)


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize("words", [("check",), ("db", "upgrade"), ("serve",), ("users", "list")])
def test_a_command_with_other_users_is_refused(project: Path, words: tuple[str, ...]) -> None:
    """S-122: here the layer's own, because nobody named the application."""
    shell = Shell({"database_url": f"sqlite:///{project / 'layer.db'}", "secret_key": SECRET})
    done = shell.run(*words)
    assert done.code == 1
    expected = "the users of `reader`, and these are of `itemsapi_user`; name the application with"
    assert expected in (done.out if words == ("check",) else done.err)


@pytest.mark.usefixtures("host")
def test_check_says_nothing_of_the_empty_table_of_the_layer() -> None:
    """It is always empty."""
    findings = run("check", "--json").json["findings"]
    assert "users" not in {found["subject"] for found in findings}


def test_no_first_admin_is_asked_for(host: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """`itemsapi serve` says nothing of the empty table either."""
    assert first_admin(host.extensions[EXTENSION], None) is None
    assert "No user exists" not in capsys.readouterr().err


def test_check_tells_that_the_session_has_no_engine(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a line: it may be bound later."""
    monkeypatch.setenv("ITEMSAPI_SECRET_KEY", SECRET)
    monkeypatch.syspath_prepend(project)
    source = HOST.partition("with app.app_context():")[0].replace("{folder}", str(project))
    source = source.replace("SqlUsers(db.session", "SqlUsers(Session()")
    (project / "unbound.py").write_text("from sqlalchemy.orm import Session\n" + source, "utf-8")
    Shell().run("--app", "unbound:app", "db", "upgrade")
    result = Shell().run("--app", "unbound:app", "check", "--json")
    found = {each["subject"]: each for each in result.json["findings"]}["users"]
    assert (result.code, found["severity"]) == (1, "fault")
    sys.modules.pop("unbound")
