"""Commands that only look create nothing: a wrong folder stays as it is."""

from pathlib import Path

import pytest

from support.command_line import SECRET, Shell
from support.free_port import free_port

READING = [
    ["users", "list"],
    ["users", "add", "ada"],
    ["users", "set-password", "ada"],
    ["roles", "list"],
    ["sessions", "list", "ada"],
    ["sessions", "end", "--everybody", "--yes"],
    ["keys", "list"],
    ["keys", "rotate"],
    ["secret", "rotate"],
    ["secret", "revoke", "--yes"],
    ["purge"],
    ["db", "current"],
    ["db", "check"],
    ["db", "downgrade", "base", "--yes"],
]
SHOWING = [["access"], ["openapi"], ["check"], ["secret", "new"]]


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_a_command_says_that_there_is_no_database(project: Path, words: list[str]) -> None:
    """One line names the file, and what to do (R-24)."""
    done = Shell().run(*words)
    advice = "set ITEMSAPI_DATA_DIR to the folder that has it, or make a new one: run"
    file = project / "itemsapi-data" / "itemsapi.db"
    assert (done.code, done.err) == (
        1, f"itemsapi: there is no database: {file}; {advice} `itemsapi db upgrade`\n",
    )  # fmt: skip
    assert list(project.iterdir()) == []


@pytest.mark.parametrize("words", SHOWING, ids=" ".join)
def test_a_command_that_needs_no_database_creates_nothing(project: Path, words: list[str]) -> None:
    """Neither a folder nor a secret."""
    assert Shell().run(*words).code == 0
    assert list(project.iterdir()) == []


def test_no_database_is_created_in_a_folder_that_exists(bare_shell: Shell) -> None:
    """SQLite would create the file when it is opened."""
    folder = Path(bare_shell.settings["data_dir"])
    folder.mkdir()
    assert bare_shell.run("users", "list").code == 1
    assert list(folder.iterdir()) == []


def test_no_secret_is_created_beside_a_database_by_looking(bare_shell: Shell) -> None:
    """The first key needs one; a list of users does not."""
    bare_shell.run("db", "upgrade")
    assert bare_shell.run("users", "list").code == 0
    assert not (Path(bare_shell.settings["data_dir"]) / "secret.key").exists()


def test_a_lost_secret_is_not_replaced(bare_shell: Shell) -> None:
    """Another one could not read the keys; the line says both ways out."""
    bare_shell.run("db", "upgrade")
    bare_shell.run("keys", "rotate", "--no-wait")
    secret = Path(bare_shell.settings["data_dir"]) / "secret.key"
    secret.unlink()
    done = bare_shell.run("keys", "rotate", "--no-wait")
    advice = "put back that of the keys in the database, or, if it is lost, run `itemsapi secret"
    assert (advice in done.err, secret.exists()) == (True, False)


def test_a_lost_secret_is_replaced_when_it_is_revoked(bare_shell: Shell) -> None:
    """A development without its secret goes on; all sign in again."""
    bare_shell.run("db", "upgrade")
    bare_shell.run("keys", "rotate", "--no-wait")
    (Path(bare_shell.settings["data_dir"]) / "secret.key").unlink()
    assert bare_shell.run("secret", "revoke", "--yes").code == 0
    assert bare_shell.run("check").code == 0


def test_no_data_directory_is_created_when_nothing_is_to_be_in_it(project: Path) -> None:
    """The database is elsewhere, and the secret in the environment."""
    shell = Shell({"database_url": "sqlite:///own.db", "secret_key": SECRET})
    assert shell.run("db", "upgrade").code == 0
    assert "itemsapi-data" not in {each.name for each in project.iterdir()}


@pytest.mark.parametrize("setting", [{"blueprints": "nowhere:orders"}, {"access_ttl": "2h"}])
def test_a_service_that_cannot_start_creates_nothing(
    project: Path, setting: dict[str, str]
) -> None:
    """`serve` builds the application first."""
    assert Shell(setting).run("serve", "--port", str(free_port())).code == 1
    assert list(project.iterdir()) == []
