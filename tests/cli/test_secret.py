"""`itemsapi secret`: make, rotate and revoke the secret key."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from itemsapi.settings import Settings
from support.app_factory import Backend
from support.command_line import SECRET, Shell

NEW = "another-secret-0123456789-abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def _open_umask() -> Iterator[None]:
    """The umask of most machines."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def rotating_shell(shell: Shell, backend: Backend) -> Shell:
    """A shell with a new secret, and the old one as the previous one; ada is signed in."""
    backend.create_user("ada", "member")
    backend.login("ada")
    return shell.with_settings(secret_key=NEW, secret_key_previous=SECRET)


def finding(shell: Shell, subject: str) -> tuple[str, str]:
    """Return the severity and the message of a finding of `check`."""
    found = {each["subject"]: each for each in shell.run("check", "--json").json["findings"]}
    return found[subject]["severity"], found[subject]["message"]


def test_a_new_secret_is_printed() -> None:
    """It needs no settings; each one is another one, and strong enough."""
    secrets = {Shell().run("secret", "new").out.strip() for _ in range(3)}
    assert len(secrets) == 3
    assert all(Settings(secret_key=secret) for secret in secrets)


@pytest.mark.usefixtures("_open_umask")
def test_a_new_secret_is_written_to_a_private_file(project: Path) -> None:
    """The line says which setting names it."""
    done = Shell().run("secret", "new", "own.key")
    file = project / "own.key"
    setting = f"Set ITEMSAPI_SECRET_KEY_FILE={file}."
    assert (file.stat().st_mode & 0o777, done.out.endswith(f"{setting}\n")) == (0o600, True)
    assert [each.name for each in project.iterdir()] == ["own.key"]


def test_a_written_secret_is_read_by_the_service(project: Path) -> None:
    """As the line says."""
    Shell().run("secret", "new", "own.key")
    assert Shell({"secret_key_file": str(project / "own.key")}).run("check").code == 0


def test_a_new_secret_is_on_the_disk_before_it_is_used(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-29: after a power cut nobody could read keys that an empty file encrypts."""
    flushed: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda fd: flushed.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
    )  # the disk
    Shell().run("secret", "new", "own.key")
    temporary, folder = flushed
    assert temporary.startswith(f"{project}/own.key.")
    assert folder == str(project)


def test_a_secret_is_never_overwritten(project: Path) -> None:
    """With it all keys in the database would be lost."""
    (project / "own.key").write_text(SECRET)
    done = Shell().run("secret", "new", "own.key")
    assert (done.code, done.err.count("\n"), "is kept" in done.err) == (1, 1, True)
    assert (project / "own.key").read_text() == SECRET


def test_a_secret_in_a_missing_folder_is_a_one_line_error(bare_shell: Shell) -> None:
    """It names the file that was asked for."""
    done = bare_shell.run("secret", "new", "/nowhere/at/all.key")
    words = "/nowhere/at/all.key cannot be written: No such file or directory; name another file"
    assert (done.code, done.err) == (1, f"itemsapi: {words}\n")


@pytest.mark.parametrize("setting", ["secret_key_file", "secret_key_previous_file"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "does not exist: {file}; write it with `itemsapi secret new {file}`"),
        (b"\xff\x00raw", "is not text: {file} has raw bytes; write another one with `itemsapi"),
        (b" \n", "is empty: {file}; delete it, and write it with `itemsapi secret new {file}`"),
    ],
)
def test_a_file_without_a_secret_is_explained(
    tmp_path: Path, setting: str, content: bytes | None, words: str
) -> None:
    """One line says what is wrong, and which command to run (R-24)."""
    file = tmp_path / "own.key"
    if content is not None:
        file.write_bytes(content)
    settings = {"secret_key": SECRET} if "previous" in setting else {}
    message = f"ITEMSAPI_{setting.upper()} {words.format(file=file)}"
    assert message in Shell(settings | {setting: str(file)}).run("check").out


def test_a_production_without_a_secret_is_told_how_to_make_one(tmp_path: Path) -> None:
    """The line has the command and the setting."""
    settings = {"profile": "production", "public_url": "https://x.example"}
    done = Shell(settings | {"data_dir": str(tmp_path)}).run("users", "list")
    command = "run `itemsapi secret new FILE`, and set ITEMSAPI_SECRET_KEY_FILE=FILE"
    assert done.err == f"itemsapi: ITEMSAPI_SECRET_KEY is missing; {command}\n"


@pytest.mark.parametrize("secret", [SECRET, "short"])
def test_a_secret_that_was_not_in_use_is_no_previous_secret(shell: Shell, secret: str) -> None:
    """Somebody copied the wrong one: without this the old one would be missed only later."""
    done = shell.with_settings(secret_key_previous=secret).run("users", "list")
    assert (done.code, "is weak or the secret key itself; set it" in done.err) == (1, True)


def test_check_reports_a_wrong_secret_before_a_key_signs(shell: Shell) -> None:
    """The next key is there already, and cannot be read (R-24)."""
    shell.run("keys", "rotate", "--no-wait")
    severity, words = finding(shell.with_settings(secret_key=NEW), "secret key")
    assert (severity, words.startswith("ITEMSAPI_SECRET_KEY does not fit")) == ("fault", True)


def test_a_wrong_secret_is_told_apart_from_one_that_leaked(shell: Shell) -> None:
    """A secret that leaked must not come back as the previous one (R-24)."""
    shell.run("keys", "rotate", "--no-wait")
    _, words = finding(shell.with_settings(secret_key=NEW), "secret key")
    assert words.endswith("if that one leaked or is lost, run `itemsapi secret revoke`")


def test_check_says_that_the_keys_need_the_previous_secret(rotating_shell: Shell) -> None:
    """And which command is next."""
    command = "when each process has both secrets, run `itemsapi secret rotate`"
    assert finding(rotating_shell, "previous secret") == (
        "warning", f"the keys in the database need it; {command}",
    )  # fmt: skip
    assert rotating_shell.run("check").out.endswith(f"\nNext: {command}.\n")


def test_check_says_how_many_sessions_need_the_previous_secret(rotating_shell: Shell) -> None:
    """And how long at the latest; nothing is to be done before."""
    rotating_shell.run("secret", "rotate")
    severity, words = finding(rotating_shell, "previous secret")
    assert (severity, words.split(",")[0]) == ("ok", "1 session may need it")
    assert "Next: `itemsapi serve`." in rotating_shell.run("check").out


def test_check_says_when_the_previous_secret_may_go(rotating_shell: Shell) -> None:
    """When no session has a token that it signed."""
    rotating_shell.run("secret", "rotate")
    rotating_shell.run("sessions", "end", "ada")
    advice = "remove ITEMSAPI_SECRET_KEY_PREVIOUS, or ITEMSAPI_SECRET_KEY_PREVIOUS_FILE"
    words = f"nothing needs it any more; {advice}"
    assert finding(rotating_shell, "previous secret") == ("warning", words)


def test_a_rotation_says_what_it_did(rotating_shell: Shell) -> None:
    """A second one has nothing to do."""
    first, second = (rotating_shell.run("secret", "rotate") for _ in range(2))
    assert first.out.startswith("Encrypted 2 keys with the current secret.\nThe previous secret: 1")
    assert second.out.startswith("The current secret is in use already.\n")


def test_a_rotation_writes_json(rotating_shell: Shell) -> None:
    """For a program that waits until the previous secret may go."""
    result = rotating_shell.run("secret", "rotate", "--json").json
    assert (result["keys"], result["sessions"], result["until"][:2]) == (2, 1, "20")


def test_a_rotation_without_a_previous_secret_says_nothing_of_it(shell: Shell) -> None:
    """There is none to keep or remove."""
    assert shell.run("secret", "rotate").out == "The current secret is in use already.\n"


def test_a_secret_is_revoked_when_confirmed(rotating_shell: Shell) -> None:
    """Everybody signs in again; the keys are new."""
    done = rotating_shell.with_settings(secret_key=NEW).run("secret", "revoke", "--yes")
    assert done.code == 1  # the previous secret is still set
    leaked = Shell({k: v for k, v in rotating_shell.settings.items() if "previous" not in k})
    assert leaked.run("secret", "revoke", "--yes").code == 0
    assert leaked.run("sessions", "list", "ada", "--json").json == []


def test_a_secret_is_not_revoked_without_confirmation(shell: Shell, backend: Backend) -> None:
    """A script says --yes; the keys stay as they are."""
    backend.services.key_set.snapshot()
    done = shell.with_settings(secret_key=NEW).run("secret", "revoke")
    assert (done.code, "Add --yes to confirm; nothing was changed" in done.err) == (1, True)
    assert backend.client().get("/health/ready").status_code == 200


def test_the_secret_in_use_is_not_revoked(shell: Shell, backend: Backend) -> None:
    """It is said before anything is asked."""
    backend.services.key_set.snapshot()
    done = shell.run("secret", "revoke")
    assert (done.code, "the secret to revoke is still set; set another" in done.err) == (1, True)


def test_no_secret_is_revoked_without_keys_that_show_which_one_is_in_use(shell: Shell) -> None:
    """As right after a restore: the leaked one may still be set."""
    done = shell.run("secret", "revoke", "--yes")
    assert (done.code, "has no signing keys, so no secret is in use; set" in done.err) == (1, True)


def test_check_warns_when_others_may_read_the_previous_secret(
    rotating_shell: Shell, tmp_path: Path
) -> None:
    """It signs tokens that are accepted (S-148)."""
    file = tmp_path / "old.key"
    file.write_text(SECRET)
    file.chmod(0o644)
    settings = {k: v for k, v in rotating_shell.settings.items() if "previous" not in k}
    shell = Shell(settings | {"secret_key_previous_file": str(file)})
    assert finding(shell, "secret key") == (
        "warning", f"others may read {file}; run chmod 600 {file}",
    )  # fmt: skip
