"""`itemsapi verify URL`: attack a running service from its OpenAPI document."""

import importlib.util
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click

from itemsapi.cli.terminal import json_option, print_json, print_lines, print_table, progress_bar
from itemsapi.control_characters import escape_control_characters
from itemsapi.extras import missing
from itemsapi.verify.failures import CannotVerify
from itemsapi.verify.report import Report
from itemsapi.verify.settings import VerifySettings, read_settings

WRONG_USAGE = 2
DEFAULT_FILE = Path("verify.toml")
PASSWORD_VARIABLE, OTHER_PASSWORD_VARIABLE = "VERIFY_PASSWORD", "VERIFY_OTHER_PASSWORD"


@click.command
@click.argument("url")
@click.option("--login", metavar="USER", help=f"Sign in as USER; password: {PASSWORD_VARIABLE}.")
@click.option(
    "--other", metavar="USER", help=f"The second user; password: {OTHER_PASSWORD_VARIABLE}."
)
@click.option("--token-command", metavar="COMMAND", help="A command that writes a token.")
@click.option(
    "--write/--read-only",
    default=None,
    help="Also attack what changes data: only if all of it is disposable.",
)
@click.option("--config", type=click.Path(path_type=Path), help="Settings; default: verify.toml.")
@click.option("--junit", type=click.Path(path_type=Path), help="Write JUnit XML to this file.")
@json_option
def command(  # noqa: PLR0913 - the options of the command line
    *,
    url: str,
    login: str | None,
    other: str | None,
    token_command: str | None,
    write: bool | None,
    config: Path | None,
    junit: Path | None,
    as_json: bool,
) -> None:
    """Attack the service whose OpenAPI document is at URL, and show what holds.

    Exits with 0 if all holds, 1 after a fault or a public operation that the settings do not name,
    2 on wrong usage, 3 if something could not be proved.
    """
    given = {"login": login, "other": other, "token_command": token_command, "write": write}
    try:
        settings = _settings(config, {k: v for k, v in given.items() if v is not None})
        report = _run(url, settings)
        if junit is not None:
            _write(junit, report.as_junit())
    except CannotVerify as error:
        print_lines(f"itemsapi: {error}", err=True)
        sys.exit(WRONG_USAGE)
    _print(report, as_json=as_json)
    sys.exit(report.exit_code)


def _write(file: Path, content: bytes) -> None:
    """Write a file; a run whose report is lost must not look like a fault."""
    try:
        file.write_bytes(content)
    except OSError as error:
        raise CannotVerify(f"{file}: {error.strerror}") from error


def _settings(config: Path | None, given: dict[str, object]) -> VerifySettings:
    """Return the settings of the file, where options of the command line come first."""
    if importlib.util.find_spec("schemathesis") is None:
        raise CannotVerify(missing("verify", "`itemsapi verify`", "schemathesis"))
    file = config or DEFAULT_FILE
    read = read_settings(file) if config or file.exists() else VerifySettings()
    return replace(read, **given)  # type: ignore[arg-type]  # click checked the types of options


def _run(url: str, settings: VerifySettings) -> Report:
    from rich.markup import escape  # noqa: PLC0415 - the extra has it

    from itemsapi.verify.runner import prepare  # noqa: PLC0415 - needs the extra

    verification = prepare(url, settings, _password_of(settings))
    with progress_bar() as progress:
        task = progress.add_task("Attack", total=len(verification.operations))

        def advance(label: str) -> None:
            """Show the operation that is attacked now."""
            shown = escape(escape_control_characters(label))
            progress.update(task, advance=1, description=shown)

        return verification.run(advance)


def _password_of(settings: VerifySettings) -> Callable[[str], str]:
    """Return a function that reads the password of a user once: environment or prompt."""
    known: dict[str, str] = {}

    def password(who: str) -> str:
        """Return the password of a user; ask for it once."""
        variable = PASSWORD_VARIABLE if who == settings.login else OTHER_PASSWORD_VARIABLE
        if who not in known:
            known[who] = os.environ.get(variable) or _prompt(who, variable)
        return known[who]

    return password


def _prompt(who: str, variable: str) -> str:
    if not sys.stdin.isatty():
        raise CannotVerify(f"put the password of {who} into {variable}")
    return str(click.prompt(f"Password of {who}", hide_input=True, err=True))


def _print(report: Report, *, as_json: bool) -> None:
    if as_json:
        print_json(report.as_json())
        return
    print_table(report.rows(), report.columns(), as_json=False)
    print_lines("", *report.lines(), report.summary)
