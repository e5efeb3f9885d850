"""Client input reaches no terminal unescaped, whatever the database contains (S-115)."""

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


def sessions_output(backend: Backend, shell: Shell, device: str, *words: str) -> str:
    """Store a device label in a session; return the output of `sessions list`."""
    backend.create_user("ada", "member")
    backend.login("ada")
    with backend.services.database.transaction() as tx:
        tx.execute(update(AuthSession).values(device=device))
    done = shell.run("sessions", "list", "ada", *words)
    assert done.code == 0
    return done.out


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_device_label_is_shown_escaped(shell: Shell, backend: Backend, kind: str) -> None:
    """The table has two lines, heading and session, without control characters."""
    lines = sessions_output(backend, shell, HOSTILE[kind]).removesuffix("\n").split("\n")
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("kind", HOSTILE)
def test_json_output_is_escaped_and_exact(shell: Shell, backend: Backend, kind: str) -> None:
    """The output is JSON-escaped; parsed, it equals the stored text."""
    output = sessions_output(backend, shell, HOSTILE[kind], "--json")
    assert output.replace("\n", "").isprintable()
    assert json.loads(output)[0]["device"] == HOSTILE[kind]


@pytest.mark.parametrize("kind", HOSTILE)
def test_an_error_is_one_line_without_control_characters(bare_shell: Shell, kind: str) -> None:
    """Setting values and pasted names are escaped in the same way."""
    hostile_shell = bare_shell.with_settings(
        allowed_origins=HOSTILE[kind].replace(",", ""), secret_key="x" * 50
    )
    error = hostile_shell.run("users", "disable", HOSTILE[kind]).err
    assert error.startswith("itemsapi: ")
    assert error.removesuffix("\n").isprintable()


def test_an_unknown_name_is_escaped_in_the_error(shell: Shell) -> None:
    """`There is no user ...` repeats the argument."""
    error = shell.run("users", "disable", "\x1b]52;c;x\x07\r\nitemsapi: done").err
    assert error == (
        "itemsapi: There is no user \\u001b]52;c;x\\u0007\\u000d\\u000aitemsapi: done.\n"
    )


def test_a_lone_surrogate_is_escaped() -> None:
    """It has no UTF-8 encoding, but must be displayed."""
    assert escape_control_characters("x\ud800") == "x\\ud800"


def test_only_one_module_writes_to_the_terminal() -> None:
    """Other modules would write unescaped text; progress bars show only our own text."""
    folder = Path(cli.__file__).parent
    writing = {
        module.name
        for module in folder.glob("*.py")
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Attribute | ast.Name)
        and (getattr(node, "attr", None) or getattr(node, "id", None)) in {"echo", "secho", "print"}
    }
    assert writing == {"terminal.py"}
