"""Wrong configuration at start: a one-line error, exit code 1, nothing half-created (R-24)."""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from itemsapi import create_app, db
from itemsapi.clock import now
from itemsapi.composition import build_services
from itemsapi.settings import Settings, SettingsError
from support.command_line import SECRET, Shell, shell_at

PRODUCTION = {"profile": "production", "public_url": "https://api.example.org"}


def settings_error(**given: str) -> str:
    """Return the error message for these settings, or an empty string."""
    environ = {f"ITEMSAPI_{name.upper()}": value for name, value in given.items()}
    try:
        Settings.from_environment(environ)
    except SettingsError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("profile", "staging"),
        ("debug", "maybe"),
        ("secret_key", "short"),
        ("secret_key", "a" * 64),
        ("secret_key", ""),
        ("public_url", "ftp://x"),
        ("public_url", "nowhere"),
        ("public_url", "http://host:99999"),
        ("public_url", "http://host:x"),
        ("public_url", "http://[::zz]"),
        ("public_url", "http://host/a/../b"),
        ("public_url", "http://host name"),
        ("allowed_origins", "https://a.example/path"),
        ("allowed_origins", "*"),
        ("allowed_origins", "null"),
        ("allowed_origins", "file://"),
        ("allowed_origins", "capacitor://localhost, *"),
        ("allowed_origins", "https://a.example:99999"),
        ("allow_headers", "*"),
        ("allow_headers", "traceparent, *"),
        ("allow_headers", "trace parent"),
        ("allow_headers", "trace:parent"),
        ("allow_headers", "Cookie"),
        ("allow_headers", "Origin"),
        ("allow_headers", "sec-fetch-site"),
        ("allow_headers", "X-Forwarded-For"),
        ("allow_headers", "X_Trace"),
        ("allow_headers", "Forwarded"),
        ("allow_headers", "X-HTTP-Method-Override"),
        ("expose_headers", "*"),
        ("expose_headers", "Set-Cookie"),
        ("expose_headers", "größe"),
        ("cross_site_origins", "https://b.example"),
        ("trusted_proxies", "-1"),
        ("trusted_proxies", "99"),
        ("trusted_proxies", "some"),
        ("trusted_proxies", ""),
        ("audit_retention", "999999999d"),
        ("access_ttl", "0"),
        ("access_ttl", "2h"),
        ("access_ttl", "ten minutes"),
        ("refresh_grace", "2m"),
        ("refresh_heal", "perhaps"),
        ("session_max_idle", "0"),
        ("session_max_idle", "365d"),
        ("session_limit", "0"),
        ("signing_alg", "none"),
        ("signing_alg", "HS1"),
        ("revocation_lag", "1m"),
        ("argon2_memory", "1024"),
        ("argon2_time", "0"),
        ("argon2_parallelism", "2433"),
        ("password_min_length", "4"),
        ("password_min_length", "257"),
        ("rate_limit", "fast"),
        ("rate_limit", ""),
        ("rate_limit", "0/minute"),
        ("rate_limit", "00 per hour"),
        ("rate_limit", "5/0 minutes"),
        ("rate_limit", "5/fortnight"),
        ("rate_limit", "-5/minute"),
        ("rate_limit", "\uff15/minute"),
        ("rate_limit", "5/99999999 days"),
    ],
)
def test_an_invalid_setting_is_named(name: str, value: str) -> None:
    """The one-line error names the setting."""
    line = settings_error(**{"secret_key": SECRET, name: value})
    assert f"ITEMSAPI_{name.upper()} " in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("public_url", "http://api.example.org"),
        ("debug", "on"),
        ("insecure_cookies", "on"),
        ("sesion_limit", "3"),
    ],
)
def test_an_unsafe_setting_is_rejected_in_production(name: str, value: str) -> None:
    """Development allows it (S-103)."""
    line = settings_error(**{"secret_key": SECRET, **PRODUCTION, name: value})
    assert line.startswith(f"ITEMSAPI_{name.upper()} ")


@pytest.mark.parametrize(("proxies", "lines"), [("0", 1), ("1", 0), ("none", 0)])
def test_production_warns_when_the_number_of_proxies_is_not_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], proxies: str, lines: int
) -> None:
    """The warning is one log line at start (S-114)."""
    given = {"secret_key": SECRET, "data_dir": str(tmp_path), "trusted_proxies": proxies}
    environ = {f"ITEMSAPI_{name.upper()}": v for name, v in {**PRODUCTION, **given}.items()}
    create_app(Settings.from_environment(environ))
    assert capsys.readouterr().err.count("ITEMSAPI_TRUSTED_PROXIES is 0") == lines


@pytest.mark.parametrize(("mode", "lines"), [(0o600, 0), (0o640, 1), (0o604, 1)])
def test_production_warns_when_others_may_read_the_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: int, lines: int
) -> None:
    """The warning is one log line at start, as in `itemsapi check` (S-148)."""
    file = tmp_path / "own.key"
    file.write_text(SECRET)
    file.chmod(mode)
    given = {**PRODUCTION, "data_dir": str(tmp_path), "secret_key_file": str(file)}
    environ = {f"ITEMSAPI_{name.upper()}": value for name, value in given.items()}
    create_app(Settings.from_environment(environ))
    assert capsys.readouterr().err.count(f"others may read {file}; run chmod 600") == lines


def test_production_does_not_warn_of_an_unused_secret_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The secret key comes from the environment; the file is not used."""
    (tmp_path / "secret.key").write_text("of another time, and read by nobody here")
    given = {**PRODUCTION, "data_dir": str(tmp_path), "secret_key": SECRET}
    environ = {f"ITEMSAPI_{name.upper()}": value for name, value in given.items()}
    create_app(Settings.from_environment(environ))
    assert "others may read" not in capsys.readouterr().err


def test_production_creates_no_secret(tmp_path: Path) -> None:
    """It would be lost with the container, and with it all sessions."""
    assert settings_error(**PRODUCTION, data_dir=str(tmp_path)).startswith(
        "ITEMSAPI_SECRET_KEY is missing"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [None, b"\xff\xff"])
def test_an_unreadable_secret_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    """The file is missing or is not text."""
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    assert settings_error(secret_key_file=str(path)).startswith("ITEMSAPI_SECRET_KEY")


def test_no_error_contains_the_secret() -> None:
    """Many people read the logs of failed starts (S-148)."""
    assert "hunter2" not in settings_error(secret_key="hunter2")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell without a database."""
    return shell_at(tmp_path / "data")


@pytest.fixture
def used_port() -> Iterator[int]:
    """A port that is in use."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def start_error(shell: Shell, *words: str) -> str:
    """Return the one-line error of `serve`."""
    done = shell.run("serve", *words, "--port", str(_free()))
    assert (done.code, done.err.count("\n")) == (1, 1), done
    return done.err


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_used_port_is_a_one_line_error(shell: Shell, used_port: int) -> None:
    """It is found before any file is created; granian would share the port."""
    done = shell.run("serve", "--port", str(used_port))
    assert (done.code, "Address already in use" in done.out + done.err) == (1, True)
    assert not Path(shell.settings["data_dir"]).exists()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"access_ttl": "soon"}, "ITEMSAPI_ACCESS_TTL"),
        ({"database_url": "nonsense"}, "ITEMSAPI_DATABASE_URL"),
        ({"database_url": "mysql://u:hunter2@h/x"}, "ITEMSAPI_DATABASE_URL"),
        ({"database_url": "postgresql://u:hunter2@127.0.0.1:1/x"}, "the database cannot be used"),
        ({"database_url": "sqlite:////nowhere/at/all.db"}, "the database cannot be used"),
        ({"database_url": "sqlite://"}, "ITEMSAPI_DATABASE_URL"),
        ({"database_url": "sqlite:////"}, "the database cannot be used"),
        ({"database_url": "postgresql://u:hunter2@h:port/x"}, "ITEMSAPI_DATABASE_URL"),
        ({"database_url": "postgresql://u:hunter2@127.0.0.1:1/x?sslmode=no"}, "sslmode"),
        ({"database_pooler": "perhaps"}, "ITEMSAPI_DATABASE_POOLER"),
        ({"data_dir": " "}, "ITEMSAPI_DATA_DIR"),
        ({"blueprints": "nothing:page"}, "ITEMSAPI_BLUEPRINTS"),
        ({"blueprints": "json:loads"}, "ITEMSAPI_BLUEPRINTS"),
        ({"rate_limit_url": "nonsense://"}, "ITEMSAPI_RATE_LIMIT_URL"),
    ],
)
def test_an_error_at_start_is_one_line(shell: Shell, settings: dict[str, str], words: str) -> None:
    """It names the problem and contains no password."""
    line = start_error(shell.with_settings(**settings))
    assert words in line
    assert "hunter2" not in line


@pytest.mark.parametrize(
    "url", ["nonsense", "sqlite://", "sqlite:////nowhere/at/all.db", "postgresql://u:hunter2@h:p/x"]
)
def test_check_reports_an_unusable_database_url(shell: Shell, url: str) -> None:
    """The output has the fault and no password."""
    done = shell.with_settings(database_url=url).run("check")
    faults = [line for line in done.out.splitlines() if "FAULT" in line]
    assert (done.code, len(faults), "database" in faults[0]) == (1, 1, True)
    assert "hunter2" not in done.out


def test_an_unusable_data_directory_is_a_one_line_error(shell: Shell, tmp_path: Path) -> None:
    """Here a file is in its place."""
    (tmp_path / "data").write_text("a file")
    assert "data" in start_error(shell)


def test_a_data_directory_that_is_not_used_is_not_created(shell: Shell, tmp_path: Path) -> None:
    """The database is elsewhere, and the secret is a setting: nothing is written there."""
    elsewhere = shell.with_settings(database_url=f"sqlite:///{tmp_path}/x.db", secret_key=SECRET)
    assert elsewhere.run("db", "upgrade").code == 0
    assert not Path(shell.settings["data_dir"]).exists()


def test_a_data_directory_that_cannot_be_created_is_named(shell: Shell) -> None:
    """With what to do: the root file system of a container may be read-only."""
    line = start_error(shell.with_settings(data_dir="/proc/data", secret_key=SECRET))
    assert "ITEMSAPI_DATA_DIR cannot be created: /proc/data" in line


def test_a_secret_that_cannot_be_written_is_a_one_line_error(tmp_path: Path) -> None:
    """A file is in the place of its folder; the database is elsewhere."""
    (tmp_path / "file").touch()
    url, folder = f"sqlite:///{tmp_path}/items.db", str(tmp_path / "file" / "data")
    words = "ITEMSAPI_DATA_DIR cannot be written"
    assert words in start_error(Shell({"database_url": url, "data_dir": folder}))


def test_a_damaged_database_is_a_one_line_error(shell: Shell, tmp_path: Path) -> None:
    """The file is not overwritten: it may be possible to repair it."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "itemsapi.db").write_bytes(b"not a database at all" * 100)
    assert "the database cannot be used" in start_error(shell)


def test_an_old_schema_is_not_upgraded_automatically(shell: Shell) -> None:
    """The error names the command that upgrades it."""
    shell.run("db", "upgrade", "0001")
    assert "run `itemsapi db upgrade`" in start_error(shell)
    assert shell.run("db", "current", "--json").json["items"]["current"] is None


def test_tables_of_another_application_are_not_changed(shell: Shell) -> None:
    """With a wrong URL, our tables are not added to another application's database."""
    Path(shell.settings["data_dir"]).mkdir()
    path = Path(shell.settings["data_dir"]) / "itemsapi.db"
    database = db.Database(f"sqlite:///{path}")
    with database.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE theirs (id integer)")
    database.dispose()
    assert "run `itemsapi db upgrade`" in start_error(shell)


def test_a_wrong_secret_key_is_a_one_line_error(
    shell: Shell, tmp_path: Path, sqlite_template: Path
) -> None:
    """Otherwise every request would get 503."""
    (tmp_path / "data").mkdir()
    shutil.copy(sqlite_template, tmp_path / "data" / "itemsapi.db")
    services = build_services(Settings(data_dir=tmp_path / "data", secret_key=SECRET), now)
    services.key_set.snapshot()  # creates the first key
    services.database.dispose()
    line = start_error(shell.with_settings(secret_key="another-one-0123456789-abcdefghijklmn"))
    assert "ITEMSAPI_SECRET_KEY does not fit" in line


def test_a_route_without_a_rule_is_a_one_line_error(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the route (S-002)."""
    code = "import flask\npage = flask.Blueprint('p', __name__)\n"
    code += "page.add_url_rule('/open', view_func=lambda: 'hi', endpoint='x')\n"
    (tmp_path / "open_page.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    assert "GET /open has no access rule" in start_error(
        shell.with_settings(blueprints="open_page:page")
    )


def test_a_decorator_above_its_route_is_a_one_line_error(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-24: the error names the blueprint, the decorator and the view."""
    code = "from itemsapi import Blueprint\npage = Blueprint('p', __name__)\n"
    code += "@page.response(200)\n@page.get('/open')\ndef show():\n    pass\n"
    (tmp_path / "misplaced.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    line = start_error(shell.with_settings(blueprints="misplaced:page"))
    assert "'misplaced:page': @response stands above the route of show; write it below" in line
