"""The commands on the application of a host: `itemsapi --app`, and `flask itemsapi`."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, nullcontext
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result
from sqlalchemy import MetaData, inspect

from itemsapi import db
from itemsapi.cli.serve import build_document
from itemsapi.db.ownership import ITEM_TABLES
from itemsapi.idempotency import IdempotencyKey
from itemsapi.rest.api import DocumentInvalid
from support.command_line import SECRET, CommandResult, Shell
from support.free_port import free_port
from support.log_records import LogRecords

pytestmark = pytest.mark.dialect("sqlite")

HOST = """
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from itemsapi import Scope, requires, signed_in
from itemsapi.extension import AuthLayer


def create_app():
    app = Flask("shop", static_folder=None)
    app.config["ITEMSAPI_DATABASE_URL"] = "sqlite:///shop.db"
    auth = AuthLayer(app)
    app.cli.add_command(auth.cli)

    @app.get("/orders")
    @requires(Scope("orders:read", "See your orders"))
    def list_orders():
        return []

    {more}
    return app


app = create_app()
bare = Flask("bare")
"""
OPEN_ROUTES = """for path in ("/a", "/b"):
        app.add_url_rule(path, path, lambda: "")"""
VARIABLE_ROUTES = """for path in ("/orders/<int:number>", "/files/<path:filename>", "/<page>"):
        defaults = {"page": "one"} if path == "/<page>" else None
        view = signed_in(lambda **_: "")
        app.add_url_rule(path, path, view, defaults=defaults)"""
UNDOCUMENTED = """from itemsapi import Blueprint
    pets = Blueprint("pets", __name__)
    view = pets.doc(parameters=[{"name": "q"}])(signed_in(lambda: ""))
    pets.add_url_rule("/pets", "list_pets", view)
    app.register_blueprint(pets)"""
OWN_TABLE = """import sqlalchemy as sa
    from itemsapi import BlueprintModel
    sa.Table("parcel", BlueprintModel.metadata, sa.Column("id", sa.Integer, primary_key=True))"""
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
MOUNTS = """app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {
        "/open": Flask("a"), "/guarded": auth.wsgi_guard(Flask("b"), signed_in)})"""


FLASK_SQLALCHEMY = """from flask_sqlalchemy import SQLAlchemy
    app.config["SQLALCHEMY_DATABASE_URI"] = "{}"
    SQLAlchemy(app)"""


@pytest.fixture
def host(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with the module `shop`."""
    monkeypatch.setenv("ITEMSAPI_SECRET_KEY", SECRET)
    monkeypatch.setattr(sys, "path", [*sys.path])  # Flask adds the folder of the application
    for name in ("shop", "wsgi"):
        sys.modules.pop(name, None)  # another test may have one too
    write_host(project)
    yield project
    for name in ("shop", "wsgi"):
        sys.modules.pop(name, None)


def write_host(project: Path, more: str = "") -> None:
    """Write the module, with more lines in its factory."""
    (project / "shop.py").write_text(HOST.replace("{more}", more), "utf-8")


def run(*words: str, app: str = "shop:app") -> CommandResult:
    """Run a command on an application."""
    return Shell().run("--app", app, *words)


def test_the_tables_of_the_layer_are_created_in_the_database_of_the_host(host: Path) -> None:
    """The settings are those of its `app.config`; there are no tables of items."""
    assert run("db", "upgrade").out == "The database is at revision 0001.\n"
    database = db.Database(f"sqlite:///{host / 'shop.db'}", items=False)
    db.check_schema(database)
    assert not ITEM_TABLES.intersection(inspect(database.engine).get_table_names())
    database.dispose()


@pytest.mark.usefixtures("host")
def test_the_tables_of_items_are_none_of_the_host() -> None:
    """The option says so, and changes nothing."""
    done = run("db", "upgrade", "head", "--items")
    assert (done.code, "does not have the Items API" in done.err) == (1, True)


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize("app", ["shop", "shop:create_app", "shop:create_app()", "shop.py:app"])
def test_the_application_is_named_as_for_flask(app: str) -> None:
    """A module, an application, or a factory."""
    run("db", "upgrade")
    assert run("users", "add", "ada", "--role", "admin", app=app).code == 0


@pytest.mark.usefixtures("host")
def test_users_are_those_of_the_host() -> None:
    """And so are their sessions and the keys."""
    run("db", "upgrade")
    run("users", "add", "ada")
    assert [user["username"] for user in run("users", "list", "--json").json] == ["ada"]
    assert run("sessions", "list", "ada", "--json").json == []


@pytest.mark.usefixtures("host")
def test_expired_data_of_the_host_is_deleted() -> None:
    """There are no quotas without items."""
    run("db", "upgrade")
    assert "quotas" not in [row["target"] for row in run("purge", "--json").json]


@pytest.mark.usefixtures("host")
def test_access_shows_the_routes_of_the_host() -> None:
    """With the rules that the gate enforces."""
    rows = run("access", "--json").json
    assert ("GET", "/orders", "orders:read") in [
        (row["method"], row["path"], row["rule"]) for row in rows
    ]
    assert "/items" not in {row["path"] for row in rows}


@pytest.mark.usefixtures("host")
def test_openapi_documents_the_host() -> None:
    """Its own routes too."""
    assert "/orders" in run("openapi").json["paths"]


def test_openapi_documents_variable_routes_of_the_host(host: Path) -> None:
    """Routes of the application itself, also with a default; Flask's static files are one."""
    write_host(host, VARIABLE_ROUTES)
    paths = run("openapi").json["paths"]
    routes = ["/orders/{number}", "/files/{filename}", "/{page}"]
    parameters = [paths[route]["get"]["parameters"] for route in routes]
    assert [[p["name"] for p in each] for each in parameters] == [
        ["number"],
        ["filename"],
        ["page"],
    ]


@pytest.mark.parametrize("required", [False, True])
def test_a_host_is_served_without_a_document_when_it_cannot_be_built(
    host: Path, monkeypatch: pytest.MonkeyPatch, log_records: LogRecords, *, required: bool
) -> None:
    """The log says why; the Items API does not start."""
    write_host(host, UNDOCUMENTED)
    monkeypatch.syspath_prepend(host)
    from shop import app  # type: ignore[import-not-found]  # noqa: PLC0415 - the test wrote it

    with pytest.raises(DocumentInvalid) if required else nullcontext():
        build_document(app, required=required)
    logged = [line for line in log_records.lines() if line.startswith("document_not_built")]
    assert len(logged) == (not required)


@pytest.mark.parametrize("command", ["access", "serve"])
def test_routes_without_a_rule_are_listed(host: Path, command: str) -> None:
    """All of them, one a line (S-001)."""
    write_host(host, OPEN_ROUTES)
    done = run(command)
    assert (done.code, done.err.splitlines()[0]) == (1, "itemsapi: 2 faults in the access rules:")
    assert [line.split(";")[0] for line in done.err.splitlines()[1:]] == [
        "  route GET /a has no access rule",
        "  route GET /b has no access rule",
    ]


def test_access_shows_the_other_rules_while_a_route_lacks_one(host: Path) -> None:
    """One sees what is there beside what is missing."""
    write_host(host, OPEN_ROUTES)
    rows = run("access", "--json").json
    assert "/orders" in {row["path"] for row in rows}


def test_users_are_managed_while_a_route_lacks_a_rule(host: Path) -> None:
    """Such a route is refused by itself."""
    run("db", "upgrade")
    sys.modules.pop("shop")
    write_host(host, OPEN_ROUTES)
    assert run("users", "list").code == 0


def test_check_shows_the_faults_of_the_rules(host: Path) -> None:
    """And exits with 1."""
    write_host(host, OPEN_ROUTES)
    done = run("check", "--json")
    faults = [found["message"] for found in done.json["findings"] if found["subject"] == "rules"]
    assert (done.code, len(faults)) == (1, 2)


def test_check_shows_what_is_mounted_beside_the_gate(host: Path) -> None:
    """A warning: the gate cannot see it (`auth.wsgi_guard` can)."""
    write_host(host, MOUNTS)
    run("db", "upgrade")
    found = [
        each for each in run("check", "--json").json["findings"] if each["subject"] == "mounts"
    ]
    assert [(each["severity"], each["message"].split(";")[0]) for each in found] == [
        ("warning", "/open is outside the gate"),
        ("ok", "/guarded is behind the gate: signed in"),
    ]


@pytest.mark.usefixtures("host")
def test_check_shows_which_settings_the_application_made() -> None:
    """Those of the environment come before them."""
    rows = {row["setting"]: row["source"] for row in run("check", "--json").json["settings"]}
    assert rows["ITEMSAPI_DATABASE_URL"] == "application"
    assert (rows["ITEMSAPI_SECRET_KEY"], rows["ITEMSAPI_AUDIENCE"]) == ("environment", "default")


@pytest.fixture
def _own_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    """A metadata that no other test has tables in."""
    monkeypatch.setattr(db.BlueprintModel, "metadata", MetaData())


@pytest.mark.usefixtures("_own_metadata")
def test_a_migration_is_written_for_the_models_of_an_application(host: Path) -> None:
    """It knows its models and its folder; no variable is needed."""
    write_host(host, OWN_TABLE)
    text = (host / "shop.py").read_text("utf-8")
    line = '    app.config["ITEMSAPI_MIGRATIONS"] = "changes"\n'
    (host / "shop.py").write_text(text.replace("    auth =", f"{line}    auth ="), "utf-8")
    assert run("db", "revision", "-m", "first").out.startswith("Wrote changes/")


@pytest.mark.usefixtures("_own_metadata")
def test_a_migration_without_a_folder_creates_nothing(host: Path) -> None:
    """The line says where the application names it."""
    write_host(host, OWN_TABLE)
    done = run("db", "revision", "-m", "first")
    assert 'as in app.config["ITEMSAPI_MIGRATIONS"] = "migrations"' in done.err
    assert {each.name for each in host.iterdir()} <= {"shop.py", "__pycache__"}


def test_check_counts_what_access_shows(host: Path) -> None:
    """HEAD follows GET: it is no further route."""
    write_host(host)
    found = [each["message"] for each in run("check", "--json").json["findings"]]
    count = len(run("access", "--json").json)
    assert f"each of {count} routes and methods has one" in found


@pytest.mark.parametrize("words", [["users", "list"], ["serve", "--port", str(free_port())]])
def test_an_application_that_cannot_start_creates_nothing(
    host: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    """Neither a folder nor a secret, although it is complete but for a rule."""
    monkeypatch.delenv("ITEMSAPI_SECRET_KEY")
    write_host(host, OPEN_ROUTES)
    assert run(*words).code == 1
    assert {each.name for each in host.iterdir()} <= {"shop.py", "__pycache__"}


EMPTY = {
    ("check",): "does not exist yet; `itemsapi --app shop:app db upgrade` creates it",
    ("users", "list"): "run `itemsapi --app shop:app db upgrade`",
    ("sessions", "list", "ada"): "run `itemsapi --app shop:app db upgrade`",
    ("keys", "list"): "run `itemsapi --app shop:app db upgrade`",
    ("purge",): "run `itemsapi --app shop:app db upgrade`",
    ("db", "check"): "run `itemsapi --app shop:app db upgrade`",
}


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize("words", EMPTY)
def test_a_command_in_an_empty_folder_names_the_one_to_run(words: tuple[str, ...]) -> None:
    """With the application: without it, it is about the Items API (R-24)."""
    done = run(*words)
    assert EMPTY[words] in done.out + done.err


@pytest.mark.usefixtures("host")
def test_check_names_the_command_that_adds_the_first_user() -> None:
    """With the application too."""
    run("db", "upgrade")
    assert "run `itemsapi --app shop:app users add NAME --role admin`" in run("check").out


@pytest.mark.usefixtures("host")
def test_a_path_of_an_application_is_quoted_for_the_shell() -> None:
    """A factory with arguments has characters that mean something there."""
    assert (
        "`itemsapi --app 'shop:create_app()' db upgrade`"
        in Shell().run("--app", "shop:create_app()", "keys", "list").err
    )


@pytest.mark.usefixtures("host")
def test_a_hint_names_no_application_when_the_next_command_is_without() -> None:
    """The name of one command is not that of the next in the same process."""
    run("check")
    assert "`itemsapi serve` creates it" in Shell().run("check").out


def test_check_says_when_the_application_has_the_secret_key(
    host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file will be created."""
    monkeypatch.delenv("ITEMSAPI_SECRET_KEY")
    text = (host / "shop.py").read_text("utf-8")
    line = f"    app.config['ITEMSAPI_SECRET_KEY'] = b{SECRET!r}\n"
    (host / "shop.py").write_text(text.replace("    auth =", f"{line}    auth ="), "utf-8")
    done = run("check", "--json").json
    (found,) = [each["message"] for each in done["findings"] if each["subject"] == "secret key"]
    rows = {row["setting"]: row["source"] for row in done["settings"]}
    assert (found, rows["ITEMSAPI_SECRET_KEY"]) == ("from the application", "application")


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize(
    ("options", "places"),
    [
        ("", "POST /me/password"),
        (", url_prefix='/api'", "POST /api/me/password"),
        (", include=['console']", "in the console, or POST /me/password"),
    ],
)
def test_the_note_on_a_temporary_password_names_places_that_exist(
    host: Path, options: str, places: str
) -> None:
    """The path with its prefix, and the console only if there is one (S-119)."""
    (host / "shop.py").write_text(
        HOST.replace("AuthLayer(app)", f"AuthLayer(app{options})").replace("{more}", ""), "utf-8"
    )
    run("db", "upgrade")
    assert f"another one: {places}.\n" in run("users", "add", "ada", "--must-change").out


@pytest.mark.usefixtures("host")
def test_the_document_links_to_no_page_of_a_part_that_the_host_has_not() -> None:
    """`include={"docs"}` adds the pages."""
    assert "](" not in run("openapi").json["info"]["description"]


@pytest.mark.usefixtures("host")
def test_an_application_without_the_layer_is_reported() -> None:
    """One line says what to write."""
    done = run("db", "upgrade", app="shop:bare")
    assert (done.code, "bare has no AuthLayer; write" in done.err) == (1, True)


@pytest.mark.usefixtures("host")
def test_the_application_after_the_command_is_wrong_usage() -> None:
    """The message says where it stands."""
    done = Shell().run("db", "upgrade", "--app", "shop:app")
    assert (done.code, "--app stands before the command" in done.err) == (2, True)


@pytest.mark.usefixtures("host")
def test_an_application_that_does_not_exist_is_wrong_usage() -> None:
    """As with `flask`."""
    assert run("db", "upgrade", app="shop:nothing").code == 2


def flask(*words: str) -> Result:
    """Run `flask itemsapi` on the application."""
    from shop import app  # noqa: PLC0415 - the test wrote it

    result: Result = app.test_cli_runner().invoke(args=["itemsapi", *words])
    return result


def test_the_commands_can_be_those_of_flask(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`app.cli.add_command(auth.cli)`: on the application that `flask` names."""
    monkeypatch.syspath_prepend(host)
    assert flask("db", "upgrade").exit_code == 0
    assert flask("users", "add", "ada").output.startswith("Created ada.")


def test_an_error_is_one_line_in_flask_too(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback."""
    monkeypatch.syspath_prepend(host)
    done = flask("users", "list")
    assert (done.exit_code, done.output.count("\n")) == (1, 1)


def test_a_hint_names_the_command_of_flask(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It finds the application as the command did that failed."""
    monkeypatch.syspath_prepend(host)
    assert "run `flask itemsapi db upgrade`" in flask("users", "list").output


def test_expired_idempotency_keys_of_the_host_are_deleted(host: Path) -> None:
    """They count for no quota, because there is no table of quotas."""
    run("db", "upgrade")
    database = db.Database(f"sqlite:///{host / 'shop.db'}", items=False)
    with database.transaction() as tx:
        tx.add(
            IdempotencyKey(
                key="k", request_hash="h", resource_id="1", owner_id="ada", created_at=LONG_AGO
            )
        )
    database.dispose()
    rows = {row["target"]: row["deleted"] for row in run("purge", "--json").json}
    assert rows["idempotency keys"] == 1


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize(("url", "count"), [(None, 1), ("http://localhost:5000", 0)])
def test_check_names_the_public_url_that_nobody_set(
    monkeypatch: pytest.MonkeyPatch, url: str | None, count: int
) -> None:
    """A page of another origin is refused with `csrf`, and `flask run` has another port."""
    if url:
        monkeypatch.setenv("ITEMSAPI_PUBLIC_URL", url)
    assert run("check").out.count("set ITEMSAPI_PUBLIC_URL") == count


PETS = """import flask_smorest
    app.config.update(API_TITLE="Pets", API_VERSION="v7", OPENAPI_VERSION="3.1.0")
    pets = flask_smorest.Blueprint("pets", "pets")
    pets.get("/pets")(signed_in(lambda: ""))
    flask_smorest.Api(app).register_blueprint(pets)"""
UNTRUE = ("X-Request-Id", "If-Match", "next_cursor", "itemsapi")


@pytest.mark.usefixtures("host")
def test_the_document_of_a_host_says_only_what_is_true_of_it() -> None:
    """It is not by us, and its other responses are its own."""
    info = run("openapi").json["info"]
    assert [word for word in UNTRUE if word in str(info)] == []
    assert (info["title"], info["version"], "contact" in info) == ("shop", "1", False)


def test_openapi_says_what_another_document_of_the_host_has(host: Path) -> None:
    """That of its own `Api`, to which the gate adds its rules."""
    write_host(host, PETS)
    done = run("openapi")
    assert "/pets" not in done.json["paths"]
    assert "the operations of the Api 'Pets' are not in it" in done.err


def test_the_document_of_a_host_has_the_title_of_its_configuration(host: Path) -> None:
    """As Flask-Smorest reads it."""
    app = 'app.config |= {"API_TITLE": "Pets", "API_VERSION": "v7"}'
    text = HOST.replace("{more}", "").replace("    auth = Auth", f"    {app}\n    auth = Auth")
    (host / "shop.py").write_text(text, "utf-8")
    info = run("openapi").json["info"]
    assert (info["title"], info["version"]) == ("Pets", "v7")


BY_PATTERN = """for path in ("/a", "/b"):
        app.add_url_rule(path, path, lambda: "")"""


@pytest.mark.parametrize("command", ["access", "check"])
def test_routes_that_a_pattern_makes_public_are_counted(host: Path, command: str) -> None:
    """So is each page that is added later, without a word (S-001)."""
    text = HOST.replace("{more}", BY_PATTERN).replace("requires, signed_in", "public, requires")
    text = text.replace("AuthLayer(app)", "AuthLayer(app, rules={'/*': public('pages')})")
    (host / "shop.py").write_text(text, "utf-8")
    done = run(command)
    assert "the key '/*' makes 2 routes and methods public" in done.out + done.err


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize("command", ["access", "check"])
def test_no_route_is_said_to_be_public_by_a_pattern_when_none_is(command: str) -> None:
    """The public ones of the layer have decorators."""
    done = run(command)
    assert "the key" not in done.out + done.err


def test_a_misspelled_setting_of_the_environment_is_reported(
    host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As without an application."""
    monkeypatch.setenv("ITEMSAPI_PUBLIC_ULR", "https://shop.example")
    words = "ITEMSAPI_PUBLIC_ULR is not a setting; did you mean ITEMSAPI_PUBLIC_URL?"
    assert words in run("check").out


def test_two_files_of_one_relative_url_are_reported(host: Path) -> None:
    """Flask-SQLAlchemy begins in the instance folder, the layer in the current one."""
    write_host(host, FLASK_SQLALCHEMY.format("sqlite:///shop.db"))
    out = run("check").out
    file = host / "instance" / "shop.db"
    assert f"SQLALCHEMY_DATABASE_URI is {file}, and ITEMSAPI_DATABASE_URL is" in out
    assert out.endswith(f"Next: set ITEMSAPI_DATABASE_URL to sqlite:///{file}.\n")


def test_the_check_says_that_there_are_no_signing_keys_yet(host: Path) -> None:
    """`db upgrade` makes none; the first start does."""
    run("db", "upgrade")
    assert "signing keys: will be created at the first start" in run("check").out


def test_two_urls_that_are_written_differently_are_not_reported(host: Path) -> None:
    """Two databases may be meant."""
    write_host(host, FLASK_SQLALCHEMY.format("sqlite:///other.db"))
    assert "SQLALCHEMY_DATABASE_URI" not in run("check").out


def test_check_does_not_ask_who_may_read_a_file_of_the_application(host: Path) -> None:
    """The application makes it, and its tables are there; a file of the layer alone is private."""
    run("db", "upgrade")
    (host / "shop.db").chmod(0o644)
    assert "run chmod 600" in run("check").out
    with closing(sqlite3.connect(host / "shop.db")) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER)")
    assert "run chmod 600" not in run("check").out


def test_scopes_of_parts_that_the_host_has_not_are_unknown(host: Path) -> None:
    """No route has them: a role with them would permit nothing."""
    run("db", "upgrade")
    done = run("roles", "set", "seller", "users:write")
    words = "There is no scope users:write; the scopes are orders:read, tokens:read."
    assert (done.code, done.err) == (1, f"itemsapi: {words}\n")


def test_a_role_made_by_command_lets_a_user_in(host: Path) -> None:
    """Created, changed and given to a user, all without the part `operators`."""
    run("db", "upgrade")
    assert run("roles", "set", "seller", "orders:read").out == "Created seller: orders:read.\n"
    changed = run("roles", "set", "seller", "orders:read", "tokens:read").out
    assert changed == "Changed seller: orders:read tokens:read.\n"
    assert run("users", "add", "ada", "--role", "seller", "--json").json["roles"] == ["seller"]


def test_a_role_that_nobody_has_is_deleted(host: Path) -> None:
    """One that a user has is kept."""
    run("db", "upgrade")
    for name in ("seller", "buyer"):
        run("roles", "set", name, "orders:read")
    run("users", "add", "ada", "--role", "seller")
    assert run("roles", "delete", "seller").code == 1
    assert run("roles", "delete", "buyer").out == "Deleted buyer.\n"
    names = [row["name"] for row in run("roles", "list", "--json").json]
    assert names == ["admin", "seller"]


def test_a_changed_role_keeps_its_description(host: Path) -> None:
    """Unless another one is given."""
    run("db", "upgrade")
    run("roles", "set", "seller", "orders:read", "--description", "Sells.")
    assert run("roles", "set", "seller", "tokens:read", "--json").json["description"] == "Sells."
