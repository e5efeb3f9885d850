"""What is common to the commands, and those that only show something."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from click import Context
from sqlalchemy import make_url

from itemsapi import db
from itemsapi.app import rulebook
from itemsapi.cli import check, main
from itemsapi.cli.commands import Commands
from itemsapi.cli.errors import error_line
from itemsapi.clock import now
from itemsapi.problems import DatabaseUnavailable
from support.app_factory import Backend
from support.command_line import Shell


def test_help_lists_every_command(bare_shell: Shell) -> None:
    """With a line each; nothing is made for it."""
    said = bare_shell.run("--help").out
    assert isinstance(main, Commands)
    assert all(f"  {name} " in said for name in main.list_commands(Context(main)))
    assert not Path(bare_shell.settings["data_dir"]).exists()


@pytest.mark.parametrize(
    "name", ["serve", "db", "users", "sessions", "keys", "access", "openapi", "check"]
)
def test_every_command_has_help(bare_shell: Shell, name: str) -> None:
    """And an exit code of 0 for asking."""
    assert bare_shell.run(name, "--help").code == 0


@pytest.mark.parametrize("words", [["fly"], ["users"], ["users", "add"], ["serve", "--port", "0"]])
def test_a_command_used_wrongly_exits_with_2(bare_shell: Shell, words: list[str]) -> None:
    """As documented."""
    assert bare_shell.run(*words).code == 2


def test_our_own_faults_are_not_hidden(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what an operator can put right is put into one line."""
    monkeypatch.setattr(db, "newest_revision", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        shell.run("db", "current")


def test_access_shows_the_rules_that_are_enforced(shell: Shell, backend: Backend) -> None:
    """Line by line those of the rulebook (S-080)."""
    enforced = {
        (entry.method, entry.path, str(entry.rule))
        for entry in rulebook(backend.app).matrix()
        if entry.method != "HEAD"
    }
    shown = shell.run("access", "--json").json
    assert {(row["method"], row["path"], row["rule"]) for row in shown} == enforced


def test_access_says_why_what_is_public_may_be(shell: Shell) -> None:
    """Every one of them."""
    rows = shell.run("access", "--json").json
    assert all(row["why"] for row in rows if row["rule"] == "public")


def test_a_table_in_a_pipe_is_not_cut(shell: Shell) -> None:
    """Whatever the width of the terminal that is not there."""
    assert "the application itself holds no data; what it shows" in shell.run("access").out


def test_openapi_writes_what_the_service_serves(shell: Shell, backend: Backend) -> None:
    """To standard output."""
    served = backend.client().get("/openapi.json").get_json()
    assert shell.run("openapi").json == served


def test_openapi_writes_to_a_file(shell: Shell, tmp_path: Path) -> None:
    """If one is named."""
    shell.run("openapi", str(tmp_path / "openapi.json"))
    assert json.loads((tmp_path / "openapi.json").read_text())["openapi"].startswith("3.1")


def test_keys_are_listed(shell: Shell) -> None:
    """None in an empty service; nothing is made by looking."""
    assert shell.run("keys", "list", "--json").json == []


def test_the_schema_is_brought_up_and_back(bare_shell: Shell) -> None:
    """From nothing to the newest, to the first, to the newest again."""
    newest = db.newest_revision()
    assert bare_shell.run("db", "upgrade").out == f"The database is at revision {newest}.\n"
    assert bare_shell.run("db", "downgrade", "0001", "--yes").out.endswith("revision 0001.\n")
    assert bare_shell.run("db", "current", "--json").json == {"current": "0001", "newest": newest}
    assert bare_shell.run("db", "check").code == 1


def test_a_downgrade_asks_first(bare_shell: Shell) -> None:
    """Without a yes nothing is dropped."""
    bare_shell.run("db", "upgrade")
    assert bare_shell.run("db", "downgrade", "base", stdin="n\n").code == 1
    assert bare_shell.run("db", "check").code == 0


def test_an_unknown_revision_is_one_line(bare_shell: Shell) -> None:
    """No traceback."""
    done = bare_shell.run("db", "upgrade", "9999")
    assert (done.code, done.err.count("\n")) == (1, 1)


def test_a_command_before_the_database_is_there_says_what_to_do(bare_shell: Shell) -> None:
    """One line."""
    Path(bare_shell.settings["data_dir"]).mkdir()
    done = bare_shell.run("users", "list")
    assert "run `itemsapi db upgrade`" in done.err


def test_check_finds_nothing_wrong_with_a_sound_service(shell: Shell) -> None:
    """Exit code 0."""
    shell.run("users", "add", "root", "--role", "admin")
    done = shell.run("check", "--json")
    assert done.code == 0
    assert {finding["mark"] for finding in done.json["findings"]} == {"ok"}


def test_check_changes_nothing(bare_shell: Shell) -> None:
    """Not even a secret is made."""
    assert bare_shell.run("check").code == 0
    assert not Path(bare_shell.settings["data_dir"]).exists()


def test_check_shows_no_secret(shell: Shell) -> None:
    """Neither the key nor passwords within addresses (S-148)."""
    secrets = {"smtp_url": "smtp://me:canary1@mail", "rate_limit_url": "redis://:canary2@r"}
    done = shell.with_settings(**secrets).run("check")
    assert "canary" not in done.out
    assert shell.settings["secret_key"] not in done.out


def test_check_shows_where_each_setting_comes_from(shell: Shell) -> None:
    """Environment, file or default."""
    listed = shell.with_settings(access_ttl="5m").run("check", "--json").json["settings"]
    rows = {row["setting"]: row for row in listed}
    assert rows["ITEMSAPI_ACCESS_TTL"] == {
        "setting": "ITEMSAPI_ACCESS_TTL", "value": "300s", "source": "environment",
    }  # fmt: skip
    assert rows["ITEMSAPI_DOCS"]["source"] == "default"


def findings(shell: Shell, **settings: str) -> dict[str, list[str]]:
    """Return what the doctor says, by mark."""
    found: dict[str, list[str]] = {"ok": [], "warning": [], "fault": []}
    for one in shell.with_settings(**settings).run("check", "--json").json["findings"]:
        found[one["mark"]].append(one["words"])
    return found


def test_check_knows_what_was_meant(shell: Shell) -> None:
    """A slip of the pen would otherwise go unnoticed in development."""
    (first, *_) = findings(shell, sesion_limit="3")["warning"]
    assert first.endswith("did you mean ITEMSAPI_SESSION_LIMIT?")


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
def test_check_finds_faults(shell: Shell, settings: dict[str, str], words: str) -> None:
    """Each with its words, and exit code 1."""
    assert words in findings(shell, **settings)["fault"][0]
    assert shell.with_settings(**settings).run("check").code == 1


@pytest.mark.parametrize("url", ["https://api.example", "https://host.example/api"])
def test_check_warns_of_proxies_that_nobody_counted(shell: Shell, url: str) -> None:
    """Https outside and http here: somebody stands between, and all clients share an address."""
    words = [w for w in findings(shell, public_url=url)["warning"] if "TRUSTED_PROXIES" in w]
    assert len(words) == 1
    assert "share one limit; set the number of proxies" in words[0]


@pytest.mark.parametrize("settings", [{}, {"trusted_proxies": "1"}, {"trusted_proxies": "none"}])
def test_check_warns_of_no_proxies_that_were_thought_of(
    shell: Shell, settings: dict[str, str]
) -> None:
    """Counted, said not to be there, or not needed for an http address."""
    url = "https://api.example" if settings else "http://localhost:8000"
    said = findings(shell, public_url=url, **settings)
    assert [words for words in said["warning"] if "PROXIES" in words] == []


def test_check_warns_of_a_secret_that_others_may_read(bare_shell: Shell) -> None:
    """A copy of it forges every token (S-148)."""
    bare_shell.run("db", "upgrade")
    (Path(bare_shell.settings["data_dir"]) / "secret.key").chmod(0o644)
    assert "others may read" in findings(bare_shell)["warning"][0]


def test_check_is_content_with_a_secret_that_was_made(bare_shell: Shell) -> None:
    """It says where it is, so that somebody backs it up."""
    bare_shell.run("db", "upgrade")
    assert any("readable by its owner only" in words for words in findings(bare_shell)["ok"])


def test_check_warns_when_the_clock_differs_from_the_databases(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens of one host are early or late on another (R-10)."""
    monkeypatch.setattr(check, "now", lambda: now() + timedelta(seconds=7))
    (words,) = [words for words in findings(shell)["warning"] if "differs" in words]
    assert words.startswith("differs from the database's")


def test_check_warns_when_the_clock_is_behind_what_was_written_down(
    shell: Shell, backend: Backend
) -> None:
    """It was set back: events of now would stand among those of the past (R-10)."""
    backend.clock.advance(hours=1)
    backend.client().get("/health/ready")  # makes the first key, and an event of it
    (words,) = [words for words in findings(shell)["warning"] if "behind" in words]
    assert words.startswith("is behind the latest event")


def test_check_does_not_hide_a_fault_of_our_own(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no operator can put right is a traceback, not a line."""
    monkeypatch.setattr(check, "check_schema", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        shell.run("check")


def test_a_database_that_is_away_for_no_known_reason_is_one_line() -> None:
    """As when another thread found it silent a moment ago."""
    assert error_line(DatabaseUnavailable()) == "the database cannot be used: it is away"


def test_a_made_secret_is_for_its_owner_alone(bare_shell: Shell) -> None:
    """Mode 0600, in a directory of mode 0700 (S-148)."""
    bare_shell.run("db", "upgrade")
    folder = Path(bare_shell.settings["data_dir"])
    modes = [path.stat().st_mode & 0o777 for path in (folder / "secret.key", folder)]
    assert modes == [0o600, 0o700]


def test_check_finds_that_the_secret_is_another_one(shell: Shell, backend: Backend) -> None:
    """Before the first request does (R-24)."""
    backend.client().get("/health/ready")  # makes the first key
    (words,) = findings(shell, secret_key="another-one-0123456789-abcdefghijklmn")["fault"]
    assert words.startswith("ITEMSAPI_SECRET_KEY does not fit the keys in the database")


def test_check_does_not_call_a_wrong_secret_a_fault_of_the_database(
    shell: Shell, backend: Backend
) -> None:
    """It is the secret key's: there it has to be put right."""
    backend.client().get("/health/ready")  # makes the first key
    done = shell.with_settings(secret_key="another-one-0123456789-abcdefghijklmn").run(
        "check", "--json"
    )
    faults = [one["about"] for one in done.json["findings"] if one["mark"] == "fault"]
    assert faults == ["secret key"]


def test_check_says_that_the_server_knows_no_such_user(shell: Shell, dialect: str) -> None:
    """The setting is at fault, and not the database, which answers."""
    if dialect != "postgresql":
        pytest.skip("an SQLite file has no users")
    url = make_url(shell.settings["database_url"]).set(username="nobody_of_that_name")
    stranger = shell.with_settings(database_url=url.render_as_string(hide_password=False))
    faults = [
        one for one in stranger.run("check", "--json").json["findings"] if one["mark"] == "fault"
    ]
    assert [one["about"] for one in faults] == ["settings"]
