"""The secrets and the backups beside compose.yaml, made by the lines that docs/operations.md shows.

`docker` and `sudo` are small programs of the tests: there is no engine here, and no other user.
"""

import os
import re
import subprocess
import textwrap
import time
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "operations.md").read_text("utf-8")
OLD = "2026-01-01T030000Z.backup"
DUMP = "#!/bin/sh\necho PGDMP\n"
FAILURE = "#!/bin/sh\necho half\nexit 1\n"
Run = Callable[[str], int]


def lines_with(words: str) -> str:
    """Return the block of the guide that has these words."""
    blocks = re.findall(r"^( *)```sh\n(.*?)^\1```", GUIDE, re.DOTALL | re.MULTILINE)
    (found,) = (textwrap.dedent(block) for _, block in blocks if words in block)
    return str(found)


START = lines_with("test -s .env")
ROTATION = lines_with("test -s previous.key")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with programs that come first: `docker` and `sudo` succeed."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("docker", "sudo"):
        write_program(folder / name, "#!/bin/sh\n")
    return folder


def write_program(file: Path, text: str) -> None:
    """Write a program."""
    file.write_text(text)
    file.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the script of the backups."""
    folder = tmp_path / "checkout"
    (folder / "deploy").mkdir(parents=True)
    (folder / "deploy" / "backup.sh").write_text((ROOT / "deploy" / "backup.sh").read_text())
    return folder


@pytest.fixture
def run(checkout: Path, programs: Path) -> Run:
    """Run lines in the checkout, with the umask of cron; return the exit code."""
    environment = {"PATH": f"{programs}:{os.environ['PATH']}"}

    def run_lines(lines: str) -> int:
        command = ["/bin/sh", "-c", f"umask 022\n{lines}"]
        done = subprocess.run(
            command,
            cwd=checkout,
            env=environment,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=60,
        )
        return done.returncode

    return run_lines


def contents(folder: Path) -> dict[str, str]:
    """Return the files of a folder, with what is in them."""
    return {file.name: file.read_text() for file in folder.iterdir() if file.is_file()}


def test_a_second_start_keeps_password_and_secret(run: Run, checkout: Path) -> None:
    """The volume of the database has the password, and the database the keys."""
    run(START)
    first = contents(checkout)
    assert run(START) == 0
    assert (contents(checkout), set(first)) == (first, {".env", "secret.key"})
    assert re.fullmatch(r"SITE=api.example\nDATABASE_PASSWORD=\w{48}\n", first[".env"])


def test_only_their_owner_may_read_password_and_secret(run: Run, checkout: Path) -> None:
    """Whatever the umask is (S-064)."""
    run(START)
    modes = {(checkout / name).stat().st_mode & 0o777 for name in (".env", "secret.key")}
    assert modes == {0o600}


@pytest.mark.parametrize("name", [".env", "secret.key"])
def test_an_empty_file_is_made_anew(run: Run, checkout: Path, name: str) -> None:
    """Such as one that a full disk left."""
    (checkout / name).touch()
    run(START)
    assert (checkout / name).stat().st_size > 40


def test_a_start_goes_on_after_openssl_failed(run: Run, checkout: Path, programs: Path) -> None:
    """No file has its name before it is whole."""
    write_program(programs / "openssl", FAILURE)
    run(START)
    assert set(contents(checkout)) == {"secret.key.part"}
    (programs / "openssl").unlink()
    run(START)
    assert set(contents(checkout)) == {".env", "secret.key"}


def test_a_rotation_keeps_the_secret_in_use_as_the_previous_one(run: Run, checkout: Path) -> None:
    """A second run changes nothing."""
    run(START)
    used = (checkout / "secret.key").read_text()
    run(ROTATION)
    after = contents(checkout)
    assert (after["previous.key"], after["secret.key"] != used) == (used, True)
    assert (run(ROTATION), contents(checkout)) == (0, after)


def test_a_rotation_goes_on_after_openssl_failed(run: Run, checkout: Path, programs: Path) -> None:
    """The containers are not started with half of the secrets."""
    run(START)
    used = (checkout / "secret.key").read_text()
    write_program(programs / "openssl", FAILURE)
    assert run(ROTATION) == 1
    (programs / "openssl").unlink()
    assert run(ROTATION) == 0
    after = contents(checkout)
    assert (after["previous.key"], len(after["secret.key"])) == (used, len(used))


def test_a_backup_of_the_containers_can_be_read_by_its_owner_only(
    run: Run, checkout: Path, programs: Path
) -> None:
    """It has password hashes (S-064)."""
    write_program(programs / "docker", DUMP)
    assert run("cd / && sh $OLDPWD/deploy/backup.sh") == 0
    (file,) = checkout.glob("20??-??-??T??????Z.backup")
    assert (file.stat().st_mode & 0o777, file.read_text()) == (0o600, "PGDMP\n")


def test_a_failed_backup_is_not_taken_for_one(run: Run, checkout: Path, programs: Path) -> None:
    """And the old ones stay: they may be the last."""
    write_program(programs / "docker", FAILURE)
    make_old(checkout, OLD)
    assert run("sh deploy/backup.sh") == 1
    assert [file.name for file in checkout.glob("*.backup")] == [OLD]


def test_a_backup_of_the_containers_replaces_those_that_are_two_weeks_old(
    run: Run, checkout: Path, programs: Path
) -> None:
    """Files with other names stay."""
    write_program(programs / "docker", DUMP)
    make_old(checkout, OLD, f"{OLD}.part", "monday.backup")
    run("sh deploy/backup.sh")
    names = set(contents(checkout))
    assert (len(names), names & {OLD, f"{OLD}.part", "monday.backup"}) == (2, {"monday.backup"})


def test_cron_makes_a_backup_and_a_purge_each_night(
    run: Run, checkout: Path, programs: Path
) -> None:
    """By the lines of the guide, from any folder."""
    write_program(programs / "docker", '#!/bin/sh\necho "$PWD: $*"\n')
    lines = re.findall(r"^ *0 [34] \* \* \* (.*)$", GUIDE, re.MULTILINE)
    backup, purge = (line.replace("/srv/itemsapi", str(checkout)) for line in lines)
    assert run(f"cd /; {backup}; ({purge}) > {checkout}/purged") == 0
    (written,) = checkout.glob("*Z.backup")
    assert written.read_text().startswith(f"{checkout}: compose exec -T database pg_dump ")
    words = f"{checkout}: compose exec -T itemsapi itemsapi purge\n"
    assert (checkout / "purged").read_text() == words


def make_old(folder: Path, *names: str) -> None:
    """Make files that are 15 days old."""
    for name in names:
        (folder / name).touch()
        os.utime(folder / name, times=(time.time() - 15 * 86_400,) * 2)


@pytest.mark.parametrize(
    "name", [".env", ".env.part", "secret.key", "previous.key", OLD, f"{OLD}.part"]
)
def test_git_ignores_secrets_and_backups(name: str) -> None:
    """`git add .` in the checkout publishes none of them."""
    lines = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert [line for line in lines if fnmatch(name, line.removeprefix("/"))] != []
