"""`itemsapi keys`: the keys that sign access tokens."""

import math
import time
from typing import TYPE_CHECKING

import click

from itemsapi.cli.confirmation import require_confirmation, yes_option
from itemsapi.cli.context import open_services
from itemsapi.cli.terminal import json_option, print_lines, print_result, print_table, progress_bar

if TYPE_CHECKING:
    from itemsapi.tokens.key_store import KeyStore

JSON_COLUMNS = ["kid", "alg", "state", "created_at", "changed_at"]
TABLE_COLUMNS = ["kid", "alg", "state", "changed_at"]  # fits the width of a terminal

WAITS = "Waiting until the next key has been published for 70 s, so that every process knows it"


@click.group
def command() -> None:
    """Manage the keys that sign access tokens."""


@command.command("list")
@json_option
def list_keys(*, as_json: bool) -> None:
    """List the keys in the order of their creation."""
    with open_services() as services:
        rows_found = services.key_set.key_store.load_all()
    rows = [{column: getattr(row, column) for column in JSON_COLUMNS} for row in rows_found]
    print_table(rows, TABLE_COLUMNS, as_json=as_json)


@command.command
@click.option("--no-wait", is_flag=True, help="Exit with 1 if the next key may not sign yet.")
@json_option
def rotate(*, no_wait: bool, as_json: bool) -> None:
    """Sign with the next key from now on; all valid tokens stay valid.

    The next key must have been published for 70 seconds; the command waits for that. The previous
    key verifies tokens until the last of them has expired.
    """
    with open_services() as services:
        kid = _rotate(services.key_set.key_store, no_wait=no_wait)
    print_result({"kid": kid}, f"{kid} signs from now on.", as_json=as_json)


@command.command
@click.argument("kid")
@yes_option
@json_option
def withdraw(kid: str, *, yes: bool, as_json: bool) -> None:
    """Reject all tokens that the key KID signed: for emergencies.

    Clients that refresh get tokens signed with another key; no session ends.
    """
    with open_services() as services:
        key_store = services.key_set.key_store
        key_store.require_known(kid)
        require_confirmation("All tokens that it signed are rejected within 2 s.", yes=yes)
        key_store.withdraw(kid)
    print_result({"kid": kid}, f"{kid} is withdrawn.", as_json=as_json)


def _rotate(key_store: "KeyStore", *, no_wait: bool) -> str:
    from itemsapi.tokens.key_store import RotationTooEarly  # noqa: PLC0415 - not for its help

    try:
        return key_store.rotate()
    except RotationTooEarly as early:
        if no_wait:
            raise
        seconds = math.ceil(early.wait)
    print_lines(f"{WAITS}: {seconds} s.", err=True)
    with progress_bar() as progress:
        task = progress.add_task("Publishing the next key", total=seconds)
        for _ in range(seconds):
            time.sleep(1)
            progress.advance(task)
    return key_store.rotate()
