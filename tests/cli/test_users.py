"""`itemsapi users` and `itemsapi sessions`."""

import sys
from datetime import timedelta

import pytest
from sqlalchemy import update

from itemsapi.accounts.models import User
from itemsapi.cli import users
from itemsapi.clock import now
from itemsapi.problems import ValidationFailed
from support.app_factory import Backend
from support.command_line import Shell
from support.operator_client import NEW_PASSWORD, events, is_signed_in


def expire_temporary_password(backend: Backend, name: str, after: timedelta) -> None:
    """Let a user's temporary password expire `after` from now."""
    change = update(User).where(User.username == name).values(password_expires_at=now() + after)
    with backend.services.database.transaction() as tx:
        tx.execute(change)


def test_a_user_is_added_with_a_generated_password(shell: Shell, backend: Backend) -> None:
    """The password works and is shown only once."""
    output = shell.run("users", "add", "ada", "--role", "member").out
    password = output.split("Password: ")[1].split()[0]
    assert is_signed_in(backend, backend.login("ada", password=password))
    assert password not in shell.run("users", "list", "--json").out


def test_a_password_is_read_from_standard_input(shell: Shell, backend: Backend) -> None:
    """It is not shown."""
    done = shell.run("users", "add", "ada", "--password-stdin", stdin=f"{NEW_PASSWORD}\n")
    assert NEW_PASSWORD not in done.out
    assert backend.login("ada", password=NEW_PASSWORD)


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_a_byte_order_mark_before_the_password_is_removed(
    shell: Shell, backend: Backend, end: str
) -> None:
    """Windows adds it to piped text; nobody could type it at sign-in."""
    piped = f"\ufeff{NEW_PASSWORD}{end}".encode()
    assert shell.run("users", "add", "ada", "--password-stdin", stdin=piped).code == 0
    assert backend.login("ada", password=NEW_PASSWORD)


def test_a_closed_standard_input_is_an_error(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service manager may leave it closed."""
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdin", None)
        with pytest.raises(ValidationFailed, match="Standard input is closed"):
            users._read_password()  # noqa: SLF001 - click's runner always opens it


@pytest.mark.parametrize(
    ("words", "stdin", "line"),
    [
        (["add", "ada", "--password-stdin"], "short\n", "Use 15 characters or more"),
        (["add", "ada", "--password-stdin"], b"\xff\xfe\n", "is not UTF-8"),
        (["add", "ada", "--password-stdin"], f"{NEW_PASSWORD}\0\n", "character U+0000;"),
        (["set-password", "ada", "--password-stdin"], "\x1b[A" + NEW_PASSWORD, "U+001B;"),
        (["add", "ada", "--password-stdin"], NEW_PASSWORD.encode("utf-16-le"), "U+0000;"),
        (["add", "ada", "--password-stdin"], f"{NEW_PASSWORD}\x85".encode(), "U+0085;"),
        (["add", "ada", "--password-stdin"], "\ufeff\n", "Use 15 characters or more"),
        (["add", "ada", "--password-stdin"], "x" * 100_000, "characters at most"),
        (["add", "ada", "--password-stdin"], f"{NEW_PASSWORD}\nnot this\n", "more than one line"),
        (["set-password", "ada", "--password-stdin"], f"{NEW_PASSWORD}\n\n", "more than one line"),
        (["add", "a b"], "", "Write 1 to 64 of the ASCII letters"),
        (
            ["add", "ada", "--role", "boss"],
            "",
            "no role boss; the roles are admin, member, reader.",
        ),
        (["disable", "nobody"], "", "There is no user nobody"),
        (["add-role", "nobody", "member"], "", "There is no user nobody"),
        (["add-role", "ada", "boss"], "", "no role boss; the roles are admin, member, reader."),
    ],
)
def test_an_invalid_command_is_a_one_line_error(
    shell: Shell, words: list[str], stdin: str | bytes, line: str
) -> None:
    """The error is on standard error, and the exit code is 1."""
    done = shell.run("users", *words, stdin=stdin)
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert line in done.err


def test_a_name_that_exists_is_rejected(shell: Shell) -> None:
    """The comparison ignores case."""
    shell.run("users", "add", "ada")
    assert shell.run("users", "add", "ADA").err == "itemsapi: There is already a user ada.\n"


def test_users_are_listed(shell: Shell) -> None:
    """The list is a table or JSON."""
    shell.run("users", "add", "ada", "--role", "member")
    shell.run("users", "add", "bob")
    listed = shell.run("users", "list", "--json").json
    assert [user["username"] for user in listed] == ["ada", "bob"]
    assert "member" in shell.run("users", "list").out


def test_a_user_without_a_role_gets_a_hint(shell: Shell) -> None:
    """The hint has the command that adds a role, and the names of the roles."""
    last = shell.run("users", "add", "ada").out.splitlines()[-1]
    assert last.startswith("No role: ada may do nothing yet.")
    assert last.endswith("`itemsapi users add-role ada ROLE`; the roles are admin, member, reader.")


def test_a_user_with_a_role_gets_no_hint(shell: Shell) -> None:
    """There is nothing to do."""
    assert "role" not in shell.run("users", "add", "ada", "--role", "member").out


@pytest.mark.parametrize("name", ["add", "add-role"])
def test_the_help_leads_to_the_roles(bare_shell: Shell, name: str) -> None:
    """An application begins with `admin` alone, so no list of roles is true everywhere."""
    shown = " ".join(bare_shell.run("users", name, "--help").out.split())
    assert "one of those in `roles list`" in shown
    assert "member" not in shown


def test_json_has_the_expiry_of_a_temporary_password(shell: Shell, backend: Backend) -> None:
    """A program need not know the seven days (S-119)."""
    output = shell.run("users", "add", "ada", "--must-change", "--json").json
    assert (output["must_change"], output["temporary_password"]) == (True, "pending")
    assert output["password_expires_at"] > output["created_at"]


def test_set_password_reports_the_new_state(shell: Shell) -> None:
    """The output has the state after the command."""
    shell.run("users", "add", "ada")
    output = shell.run("users", "set-password", "ada", "--must-change", "--json").json
    assert output["temporary_password"] == "pending"


@pytest.mark.parametrize(("days", "state"), [(1, "pending"), (-1, "expired")])
def test_the_list_shows_the_state_of_a_temporary_password(
    shell: Shell, backend: Backend, days: int, state: str
) -> None:
    """The state is pending or expired (S-119)."""
    shell.run("users", "add", "ada", "--must-change")
    expire_temporary_password(backend, "ada", timedelta(days=days))
    assert state in shell.run("users", "list").out
    assert shell.run("users", "list", "--json").json[0]["temporary_password"] == state


def test_the_list_shows_no_state_for_a_chosen_password(shell: Shell, backend: Backend) -> None:
    """It does not expire."""
    backend.create_user("ada", "member")
    (ada,) = shell.run("users", "list", "--json").json
    assert (ada["must_change"], ada["temporary_password"]) == (False, None)
    assert ada["password_expires_at"] is None


def test_roles_are_added_and_removed(shell: Shell) -> None:
    """Each command changes one role."""
    shell.run("users", "add", "ada", "--role", "member")
    assert shell.run("users", "add-role", "ada", "reader").out == "ada has member reader.\n"
    assert shell.run("users", "remove-role", "ada", "member").out == "ada has reader.\n"


def test_a_user_is_disabled_and_enabled(shell: Shell, backend: Backend) -> None:
    """Disabling ends the sessions."""
    backend.create_user("ada", "member")
    tokens = backend.login("ada")
    assert shell.run("users", "disable", "ada").code == 0
    assert (
        backend.client()
        .post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
        .status_code
        == 401
    )
    assert shell.run("users", "enable", "ada").code == 0


def test_the_last_admin_cannot_be_removed(shell: Shell) -> None:
    """This holds at the host too: nobody could undo it from elsewhere."""
    shell.run("users", "add", "root", "--role", "admin")
    assert "No admin would be left" in shell.run("users", "disable", "root").err
    assert "No admin would be left" in shell.run("users", "remove-role", "root", "admin").err


def test_a_password_is_set(shell: Shell, backend: Backend) -> None:
    """The new password is shown."""
    backend.create_user("ada", "member")
    done = shell.run("users", "set-password", "ada", "--json").json
    assert backend.login("ada", password=done["password"])


def test_commands_are_audited(shell: Shell, backend: Backend) -> None:
    """The event has the address "cli" and no caller (S-149)."""
    shell.run("users", "add", "ada")
    (event,) = events(backend, "user_created")
    assert (event["caller_id"], event["address"]) == (None, "cli")


def test_sessions_are_listed_and_ended(shell: Shell, backend: Backend) -> None:
    """All sessions of a user end."""
    backend.create_user("ada", "member")
    backend.login("ada")
    assert len(shell.run("sessions", "list", "ada", "--json").json) == 1
    assert shell.run("sessions", "end", "ada").out == "Ended 1 session of ada.\n"
    assert shell.run("sessions", "list", "ada", "--json").json == []


def test_all_sessions_end(shell: Shell, backend: Backend) -> None:
    """One row ends all sessions (R-19)."""
    backend.create_user("ada", "member")
    backend.login("ada")
    assert shell.run("sessions", "end", "--everybody", "--yes").code == 0
    assert shell.run("sessions", "list", "ada", "--json").json == []


def test_the_sessions_of_everybody_do_not_end_when_nobody_confirms(
    shell: Shell, backend: Backend
) -> None:
    """A script says --yes; one line says so, and the exit code is 1."""
    backend.create_user("ada", "member")
    backend.login("ada")
    done = shell.run("sessions", "end", "--everybody")
    words = "All users have to sign in again. Add --yes to confirm; nothing was changed"
    assert (done.code, done.err) == (1, f"itemsapi: {words}\n")
    assert len(shell.run("sessions", "list", "ada", "--json").json) == 1


@pytest.mark.parametrize("words", [[], ["ada", "--everybody"]])
def test_ending_sessions_needs_one_target(shell: Shell, words: list[str]) -> None:
    """Wrong usage exits with 2."""
    assert shell.run("sessions", "end", *words).code == 2
