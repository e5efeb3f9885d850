"""What a client sent reaches no terminal raw, whatever the database holds (S-115)."""

import ast
import json
from pathlib import Path

import pytest
from sqlalchemy import update

from itemsapi import cli
from itemsapi.control_characters import escape_control_characters
from itemsapi.tokens.sessions import AuthSession
from support.app_factory import Backend
from support.command_line import Shell

HOSTILE = {
    "OSC 52": "\x1b]52;c;cm0gLXJmIH4=\x07",
    "CSI": "\x1b[2J\x1b[1;1H",
    "C1 CSI": "\u009b2J",
    "bidi override": "\u202enimda",
    "bidi isolate": "\u2066x\u2069",
    "right-to-left mark": "\u200f",
    "line separator": "a\u2028b",
    "CR LF": "laptop\r\nphone      127.0.0.1  forged",
    "DEL": "ab\x7f",
    "NEL": "a\x85b",
}


def shown_by(backend: Backend, shell: Shell, device: str, *words: str) -> str:
    """Put a device label into a session's row, and return what the command shows of it."""
    backend.create_user("ada", "member")
    backend.login("ada")
    with backend.services.database.transaction() as tx:
        tx.execute(update(AuthSession).values(device=device))
    done = shell.run("sessions", "list", "ada", *words)
    assert done.code == 0
    return done.out


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_device_label_is_shown_escaped(shell: Shell, backend: Backend, kind: str) -> None:
    """Two lines, of the heading and of the session, and nothing that a terminal obeys."""
    lines = shown_by(backend, shell, HOSTILE[kind]).removesuffix("\n").split("\n")
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("kind", HOSTILE)
def test_json_holds_what_is_stored_and_nothing_raw(
    shell: Shell, backend: Backend, kind: str
) -> None:
    """Escaped as JSON has it: a program reads the very text."""
    said = shown_by(backend, shell, HOSTILE[kind], "--json")
    assert said.replace("\n", "").isprintable()
    assert json.loads(said)[0]["device"] == HOSTILE[kind]


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_refusal_is_one_line_without_controls(bare_shell: Shell, kind: str) -> None:
    """A value of a setting, a name that was pasted: all goes the same way out."""
    given = bare_shell.with_settings(
        allowed_origins=HOSTILE[kind].replace(",", ""), secret_key="x" * 50
    )
    said = given.run("users", "disable", HOSTILE[kind]).err
    assert said.startswith("itemsapi: ")
    assert said.removesuffix("\n").isprintable()


def test_a_name_that_is_not_there_is_told_escaped(shell: Shell) -> None:
    """`There is no user ...` repeats what was typed, or pasted from somewhere."""
    said = shell.run("users", "disable", "\x1b]52;c;x\x07\r\nitemsapi: done").err
    assert said == (
        "itemsapi: There is no user \\u001b]52;c;x\\u0007\\u000d\\u000aitemsapi: done.\n"
    )


def test_half_a_surrogate_pair_can_be_written() -> None:
    """It has no UTF-8, and an operator must be told all the same."""
    assert escape_control_characters("x\ud800") == "x\\ud800"


def test_one_module_alone_writes_to_the_terminal() -> None:
    """Whoever writes past it writes raw; progress bars show words of ours alone."""
    folder = Path(cli.__file__).parent
    writing = {
        module.name
        for module in folder.glob("*.py")
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Attribute | ast.Name)
        and (getattr(node, "attr", None) or getattr(node, "id", None)) in {"echo", "secho", "print"}
    }
    assert writing == {"terminal.py"}
