"""Behaviour common to all commands, and the commands that only show something."""

import dataclasses
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click import Context
from sqlalchemy import make_url, text

from itemsapi import db
from itemsapi.app import rulebook
from itemsapi.cli import check, host_clock, main
from itemsapi.cli.commands import Commands
from itemsapi.cli.errors import error_line
from itemsapi.cli.set_up import warn_of_unknown_settings
from itemsapi.cli.settings_report import settings_rows
from itemsapi.clock import now
from itemsapi.db.revision_files import find_environment
from itemsapi.db.schema_errors import MigrationFailed
from itemsapi.problems import DatabaseUnavailable
from itemsapi.settings import Settings
from support.app_factory import Backend
from support.command_line import Shell

NEWER = (
    "the database is at revision 0002, newer than this version of itemsapi; install the newer"
    " version, or restore a backup"
)


def test_help_lists_every_command(bare_shell: Shell) -> None:
    """`--help` lists each command on one line and creates nothing."""
    help_text = bare_shell.run("--help").out
    assert isinstance(main, Commands)
    assert all(f"  {name} " in help_text for name in main.list_commands(Context(main)))
    assert not Path(bare_shell.settings["data_dir"]).exists()


@pytest.mark.parametrize(
    "name", ["serve", "db", "users", "sessions", "keys", "access", "openapi", "check"]
)
def test_every_command_has_help(bare_shell: Shell, name: str) -> None:
    """`--help` exits with 0."""
    assert bare_shell.run(name, "--help").code == 0


@pytest.mark.parametrize("words", [["fly"], ["users"], ["users", "add"], ["serve", "--port", "0"]])
def test_wrong_usage_exits_with_2(bare_shell: Shell, words: list[str]) -> None:
    """Wrong usage exits with 2, as documented."""
    assert bare_shell.run(*words).code == 2


def test_an_unexpected_error_is_raised(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only errors that an operator can fix are shortened to one line."""
    monkeypatch.setattr(db, "newest_revision", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        shell.run("db", "current")


def test_access_shows_the_enforced_rules(shell: Shell, backend: Backend) -> None:
    """The output has exactly the entries of the rulebook (S-080)."""
    enforced = {
        (entry.method, entry.path, str(entry.rule))
        for entry in rulebook(backend.app).matrix()
        if entry.method != "HEAD"
    }
    shown = shell.run("access", "--json").json
    assert {(row["method"], row["path"], row["rule"]) for row in shown} == enforced


def test_access_gives_a_reason_for_every_public_route(shell: Shell) -> None:
    """Every public route has a reason."""
    rows = shell.run("access", "--json").json
    assert all(row["why"] for row in rows if row["rule"] == "public")


def test_access_shows_credentials_and_unchecked_objects(shell: Shell) -> None:
    """S-080: as JSON, for a review by a program."""
    rows = {f"{row['method']} {row['path']}": row for row in shell.run("access", "--json").json}
    shown = [
        rows["GET /items/<id:item_id>"][name] for name in ("credentials", "object_check", "note")
    ]
    assert shown == [["access_token", "api_key"], None, "no object check (on=)"]
    assert rows["GET /items"]["note"] is None


def test_a_table_is_not_cut_in_a_pipe(shell: Shell) -> None:
    """A pipe has no terminal width."""
    assert "the application itself holds no data; what it shows" in shell.run("access").out


def test_openapi_writes_the_served_document(shell: Shell, backend: Backend) -> None:
    """Standard output has the document of /openapi.json."""
    served = backend.client().get("/openapi.json").get_json()
    assert shell.run("openapi").json == served


def test_openapi_writes_to_a_file(shell: Shell, tmp_path: Path) -> None:
    """With a file name, the document is written there."""
    shell.run("openapi", str(tmp_path / "openapi.json"))
    assert json.loads((tmp_path / "openapi.json").read_text())["openapi"].startswith("3.1")


def test_keys_list_is_empty_in_an_empty_service(shell: Shell) -> None:
    """Listing keys creates none."""
    assert shell.run("keys", "list", "--json").json == []


def test_the_schema_is_upgraded_and_downgraded(bare_shell: Shell) -> None:
    """Upgrade to the newest revision, drop the tables of items; `db check` then fails."""
    newest = db.newest_revision()
    upgraded = bare_shell.run("db", "upgrade").out
    assert upgraded.startswith(f"The database is at revision {newest}.\n")
    downgraded = bare_shell.run("db", "downgrade", "base", "--items", "--yes").out
    assert downgraded.endswith("The tables of the Items API are at revision base.\n")
    assert bare_shell.run("db", "check").code == 1


def test_the_revisions_of_all_tables_are_shown(bare_shell: Shell) -> None:
    """Those of the layer, of the Items API and of the blueprints, if there are any."""
    bare_shell.run("db", "upgrade", newest := db.newest_revision())
    assert bare_shell.run("db", "current", "--json").json == {
        "current": newest,
        "newest": newest,
        "items": {"current": None, "newest": "0001"},
        "blueprints": None,
    }


def test_a_relative_revision_is_downgraded_to(bare_shell: Shell) -> None:
    """As Alembic's users write it, although it looks like an option."""
    bare_shell.run("db", "upgrade")
    done = bare_shell.run("db", "downgrade", "-1", "--items", "--yes")
    assert "Items API at revision base" in done.out.replace("are at", "at")


def test_an_unknown_option_is_no_revision(bare_shell: Shell) -> None:
    """It is reported as for other commands."""
    done = bare_shell.run("db", "downgrade", "--force")
    assert done.code == 2
    assert re.search("No such option.*--force", done.err)  # older versions of click quote no option


def test_a_downgrade_asks_for_confirmation(bare_shell: Shell) -> None:
    """Without confirmation nothing is dropped."""
    bare_shell.run("db", "upgrade")
    assert bare_shell.run("db", "downgrade", "base", stdin="n\n").code == 1
    assert bare_shell.run("db", "check").code == 0


def test_an_unknown_revision_is_a_one_line_error(bare_shell: Shell) -> None:
    """There is no traceback, and the line has the revisions that exist."""
    done = bare_shell.run("db", "upgrade", "9999")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert done.err.endswith("; the revisions are 0001, and `base` before them\n")


@pytest.mark.dialect("sqlite")  # the next test would find the revision in a database that it shares
@pytest.mark.parametrize("words", [["upgrade"], ["downgrade", "base", "--yes"]])
def test_a_database_of_a_newer_version_is_left_to_that_version(
    shell: Shell, backend: Backend, words: list[str]
) -> None:
    """The line says so, as other commands do; nothing is changed."""
    revision = text("UPDATE itemsapi_alembic_version SET version_num = '0002'")
    with backend.services.database.transaction() as tx:
        tx.execute(revision)
    done = shell.run("db", *words)
    assert (done.code, done.err) == (1, f"itemsapi: {NEWER}\n")


@pytest.mark.dialect("sqlite")  # as above
def test_check_does_not_advise_to_upgrade_a_database_of_a_newer_version(
    shell: Shell, backend: Backend
) -> None:
    """The upgrade would fail."""
    with backend.services.database.transaction() as tx:
        tx.execute(text("UPDATE itemsapi_alembic_version SET version_num = '0002'"))
    done = shell.run("check")
    assert (done.code, f"FAULT  database: {NEWER}" in done.out) == (1, True)


def test_a_package_without_its_migrations_is_a_one_line_error(tmp_path: Path) -> None:
    """Copied without its data files, for example."""
    with pytest.raises(MigrationFailed, match="/gone is missing; install itemsapi again") as raised:
        find_environment([tmp_path / "gone"])
    assert error_line(raised.value)


def test_a_command_without_a_schema_names_the_fix(bare_shell: Shell) -> None:
    """The error message names the command to run."""
    Path(bare_shell.settings["data_dir"]).mkdir()
    done = bare_shell.run("users", "list")
    assert "run `itemsapi db upgrade`" in done.err


def test_check_upgrade_and_check_pass_one_after_the_other_on_a_new_database(
    shell: Shell, new_database_url: str
) -> None:
    """Missing tables are something to do next, and `db check` is what fails for them."""
    new = shell.with_settings(database_url=new_database_url)
    steps = [("db", "check"), ("check",), ("db", "upgrade"), ("check",), ("db", "check")]
    assert [new.run(*step).code for step in steps] == [1, 0, 0, 0, 0]


def test_check_names_the_command_when_there_are_no_tables(
    shell: Shell, new_database_url: str
) -> None:
    """It is a warning, not a fault."""
    out = shell.with_settings(database_url=new_database_url).run("check").out
    line = "!      database: reachable; the database has no tables yet; run `itemsapi db upgrade`"
    assert line in out


def test_check_reports_a_table_that_was_dropped(shell: Shell, backend: Backend) -> None:
    """No migration creates it again, and requests that need it are a 503."""
    with backend.services.database.engine.begin() as connection:
        connection.execute(text("DROP TABLE itemsapi_attempt"))
    done = shell.run("check")
    words = "FAULT  database: the tables itemsapi_attempt were dropped; restore a backup"
    assert (done.code, words in done.out) == (1, True)


def test_check_passes_for_a_valid_service(shell: Shell) -> None:
    """The exit code is 0."""
    shell.run("users", "add", "root", "--role", "admin")
    done = shell.run("check", "--json")
    assert done.code == 0
    assert {finding["severity"] for finding in done.json["findings"]} == {"ok"}


def test_check_changes_nothing(bare_shell: Shell) -> None:
    """Not even a secret key is created."""
    assert bare_shell.run("check").code == 0
    assert not Path(bare_shell.settings["data_dir"]).exists()


def test_check_shows_no_secret(shell: Shell) -> None:
    """Neither the key nor passwords within URLs are shown (S-148)."""
    done = shell.with_settings(rate_limit_url="redis://:canary@r").run("check")
    assert "canary" not in done.out
    assert shell.settings["secret_key"] not in done.out


def test_check_shows_the_source_of_each_setting(shell: Shell) -> None:
    """The source is the environment, a file or the default."""
    listed = shell.with_settings(access_ttl="5m").run("check", "--json").json["settings"]
    rows = {row["setting"]: row for row in listed}
    assert rows["ITEMSAPI_ACCESS_TTL"] == {
        "setting": "ITEMSAPI_ACCESS_TTL", "value": "5m", "source": "environment",
    }  # fmt: skip
    assert rows["ITEMSAPI_DOCS"]["source"] == "default"


def shown_settings(shell: Shell, *options: str) -> dict[str, str]:
    """Return the names and values of the settings in the table of `check`."""
    lines = [line.split() for line in shell.run("check", *options).out.splitlines()]
    return {words[0]: words[1] for words in lines if words and words[0].startswith("ITEMSAPI_")}


def test_check_shows_the_settings_that_somebody_set(bare_shell: Shell) -> None:
    """The others have the defaults of the documentation."""
    shown = shown_settings(bare_shell.with_settings(docs="off", session_max_age="2160h"))
    folder = bare_shell.settings["data_dir"]
    assert shown == {
        "ITEMSAPI_DATA_DIR": folder, "ITEMSAPI_DOCS": "off", "ITEMSAPI_SESSION_MAX_AGE": "90d",
    }  # fmt: skip


def test_check_shows_all_settings_when_asked(bare_shell: Shell) -> None:
    """With their defaults."""
    shown = shown_settings(bare_shell, "--all")
    assert len(shown) == len(dataclasses.fields(Settings))
    assert (shown["ITEMSAPI_REFRESH_HEAL"], shown["ITEMSAPI_SESSION_MAX_IDLE"]) == ("on", "14d")


@pytest.mark.parametrize("changes", [{}, {"rate_limit": None, "trusted_proxies": None}])
def test_a_value_is_shown_as_one_sets_it(changes: dict[str, Any]) -> None:
    """What is shown can be set, and means the same."""
    settings = Settings(allowed_origins=("https://a.example", "https://b.example"), **changes)
    shown = {str(row["setting"]): str(row["value"]) for row in settings_rows(settings, {})}
    parsed = Settings.from_environment({name: text for name, text in shown.items() if text})
    assert parsed == settings


def test_check_ends_with_the_next_step(bare_shell: Shell) -> None:
    """From an empty folder to the service, one step after the other."""
    steps = [bare_shell.run("check").out.splitlines()[-1]]
    bare_shell.run("db", "upgrade")
    steps.append(bare_shell.run("check").out.splitlines()[-1])
    bare_shell.run("users", "add", "root", "--role", "admin")
    steps.append(bare_shell.run("check").out.splitlines()[-1])
    add = "`itemsapi users add NAME --role admin`"
    assert steps == [f"Next: {each}." for each in ("`itemsapi serve`", add, "`itemsapi serve`")]


def test_check_ends_with_the_faults_when_there_are_some(shell: Shell) -> None:
    """Nothing else comes before them."""
    last = shell.with_settings(access_ttl="soon").run("check").out.splitlines()[-1]
    assert last == "Next: mend the faults, and run `itemsapi check` again."


def first_key(shell: Shell) -> None:
    """Make the tables, the first key, and the secret key that encrypts it."""
    shell.run("db", "upgrade")
    shell.run("keys", "rotate", "--no-wait")


def findings(shell: Shell, **settings: str) -> dict[str, list[str]]:
    """Return the texts of the findings of `check`, by severity."""
    texts: dict[str, list[str]] = {"ok": [], "warning": [], "fault": []}
    for finding in shell.with_settings(**settings).run("check", "--json").json["findings"]:
        texts[finding["severity"]].append(finding["message"])
    return texts


def test_check_suggests_the_setting_for_a_misspelled_name(shell: Shell) -> None:
    """In development a misspelled setting would otherwise go unnoticed."""
    (first, *_) = findings(shell, sesion_limit="3")["warning"]
    assert first.endswith("did you mean ITEMSAPI_SESSION_LIMIT?")


def test_serve_reports_a_misspelled_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It starts, without the setting; in production that is an error."""
    monkeypatch.setenv("ITEMSAPI_PUBLIC_ULR", "https://shop.example")
    warn_of_unknown_settings()
    words = "ITEMSAPI_PUBLIC_ULR is not a setting; did you mean ITEMSAPI_PUBLIC_URL?"
    assert capsys.readouterr().err == f"itemsapi: {words}\n"


def test_check_reports_a_misspelled_name_once_when_it_is_a_fault(shell: Shell) -> None:
    """In production it is one, and no warning besides; nor is there a table without rows."""
    strict = {"profile": "production", "sesion_limit": "3"}
    found = findings(shell, **strict)
    assert ([len(each) for each in found.values()]) == [0, 0, 1]
    assert "Setting" not in shell.with_settings(**strict).run("check").out


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"access_ttl": "soon"}, "ITEMSAPI_ACCESS_TTL is not a duration"),
        ({"database_url": "postgresql://u:pw@127.0.0.1:1/x"}, "the database cannot be used"),
        ({"profile": "production"}, "ITEMSAPI_PUBLIC_URL must be https"),
        ({"rate_limit_url": "nonsense"}, "ITEMSAPI_RATE_LIMIT_URL cannot be used"),
        ({"rate_limit_url": "redis://:canary@host:x"}, "ITEMSAPI_RATE_LIMIT_URL cannot be used"),
    ],
)
def test_check_reports_a_fault(shell: Shell, settings: dict[str, str], words: str) -> None:
    """Each fault is described, and the exit code is 1."""
    assert words in findings(shell, **settings)["fault"][0]
    assert shell.with_settings(**settings).run("check").code == 1


@pytest.mark.parametrize("url", ["https://api.example", "https://host.example/api"])
def test_check_warns_when_the_number_of_proxies_is_not_set(shell: Shell, url: str) -> None:
    """An https public URL implies a proxy: without their number all clients share one address."""
    words = [w for w in findings(shell, public_url=url)["warning"] if "TRUSTED_PROXIES" in w]
    assert len(words) == 1
    assert "share one limit; set the number of proxies" in words[0]


@pytest.mark.parametrize("settings", [{}, {"trusted_proxies": "1"}, {"trusted_proxies": "none"}])
def test_check_does_not_warn_when_the_number_of_proxies_is_set(
    shell: Shell, settings: dict[str, str]
) -> None:
    """The number is set, set to none, or not needed for an http URL."""
    url = "https://api.example" if settings else "http://localhost:8000"
    texts_found = findings(shell, public_url=url, **settings)
    assert [words for words in texts_found["warning"] if "PROXIES" in words] == []


def test_check_warns_when_others_may_read_the_secret(bare_shell: Shell) -> None:
    """Whoever has the secret key can forge every token (S-148)."""
    first_key(bare_shell)
    (Path(bare_shell.settings["data_dir"]) / "secret.key").chmod(0o644)
    assert "others may read" in findings(bare_shell)["warning"][0]


def test_check_accepts_a_generated_secret(bare_shell: Shell) -> None:
    """The finding names the file, so that the operator can back it up."""
    first_key(bare_shell)
    assert any("readable by its owner only" in words for words in findings(bare_shell)["ok"])


def test_check_warns_when_the_clock_differs_from_the_database(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other hosts would reject fresh tokens or accept expired ones (R-10)."""
    monkeypatch.setattr(host_clock, "now", lambda: now() + timedelta(seconds=7))
    (words,) = [words for words in findings(shell)["warning"] if "differs" in words]
    assert words.startswith("differs from the database's")


def test_check_warns_when_the_clock_is_behind_the_latest_event(
    shell: Shell, backend: Backend
) -> None:
    """If the clock was set back, new events would be sorted among old ones (R-10)."""
    backend.clock.advance(hours=1)
    backend.client().get("/health/ready")  # creates the first key and its audit event
    (words,) = [words for words in findings(shell)["warning"] if "behind" in words]
    assert words.startswith("is behind the latest event")


def test_check_raises_an_unexpected_error(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that no operator can fix has a traceback."""
    monkeypatch.setattr(check, "check_schema", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        shell.run("check")


def test_an_unavailable_database_without_a_cause_is_one_line() -> None:
    """This happens when another thread found the database silent a moment ago."""
    assert error_line(DatabaseUnavailable()) == "the database cannot be used: it is unavailable"


def test_a_generated_secret_is_readable_by_its_owner_only(bare_shell: Shell) -> None:
    """The file has mode 0600, its directory 0700 (S-148)."""
    first_key(bare_shell)
    folder = Path(bare_shell.settings["data_dir"])
    modes = [path.stat().st_mode & 0o777 for path in (folder / "secret.key", folder)]
    assert modes == [0o600, 0o700]


def test_check_reports_a_wrong_secret(shell: Shell, backend: Backend) -> None:
    """The error is found before the first request (R-24)."""
    backend.client().get("/health/ready")  # creates the first key
    (words,) = findings(shell, secret_key="another-one-0123456789-abcdefghijklmn")["fault"]
    assert words.startswith("ITEMSAPI_SECRET_KEY does not fit the keys in the database")


def test_check_reports_a_wrong_secret_as_a_secret_key_fault(shell: Shell, backend: Backend) -> None:
    """The fault names the setting to fix, not the database."""
    backend.client().get("/health/ready")  # creates the first key
    done = shell.with_settings(secret_key="another-one-0123456789-abcdefghijklmn").run(
        "check", "--json"
    )
    faults = [one["subject"] for one in done.json["findings"] if one["severity"] == "fault"]
    assert faults == ["secret key"]


def test_check_reports_an_unknown_database_user_as_a_settings_fault(
    shell: Shell, dialect: str
) -> None:
    """The setting is wrong; the database is reachable."""
    if dialect != "postgresql":
        pytest.skip("an SQLite file has no users")
    url = make_url(shell.settings["database_url"]).set(username="nobody_of_that_name")
    unknown_user_shell = shell.with_settings(database_url=url.render_as_string(hide_password=False))
    faults = [
        one
        for one in unknown_user_shell.run("check", "--json").json["findings"]
        if one["severity"] == "fault"
    ]
    assert [one["subject"] for one in faults] == ["settings"]
