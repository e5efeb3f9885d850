"""`itemsapi keys`: the keys that sign access tokens."""

import math
import time

import click

from itemsapi.cli.context import opened
from itemsapi.cli.terminal import json_option, progress_bar, show, tell
from itemsapi.tokens.key_store import KeyStore, RotationTooEarly

COLUMNS = ["kid", "alg", "state", "created_at", "changed_at"]
SHOWN = ["kid", "alg", "state", "changed_at"]  # what fits a terminal


@click.group
def command() -> None:
    """Look after the keys that sign access tokens."""


@command.command("list")
@json_option
def list_keys(*, as_json: bool) -> None:
    """List the keys in the order they were made."""
    with opened() as services:
        found = services.key_set.key_store.listed()
    rows = [{column: getattr(row, column) for column in COLUMNS} for row in found]
    show(rows, SHOWN, as_json=as_json)


@command.command
@click.option("--no-wait", is_flag=True, help="Exit with 1 if the next key may not sign yet.")
@json_option
def rotate(*, no_wait: bool, as_json: bool) -> None:
    """Let the next key sign from now on; nobody is refused.

    The next key must have been published for 70 seconds, which is waited for. The key before it
    verifies for as long as its tokens can live.
    """
    with opened() as services:
        kid = _rotated(services.key_set.key_store, no_wait=no_wait)
    tell({"kid": kid}, f"{kid} signs from now on.", as_json=as_json)


@command.command
@click.argument("kid")
@click.confirmation_option(prompt="All tokens that it signed are refused within 2 s. Go on?")
@json_option
def withdraw(kid: str, *, as_json: bool) -> None:
    """Refuse everything that the key KID signed: for emergencies.

    Clients that refresh get tokens of another key and go on; nobody is signed out.
    """
    with opened() as services:
        services.key_set.key_store.withdraw(kid)
    tell({"kid": kid}, f"{kid} is withdrawn.", as_json=as_json)


def _rotated(key_store: KeyStore, *, no_wait: bool) -> str:
    try:
        return key_store.rotate()
    except RotationTooEarly as early:
        if no_wait:
            raise
        seconds = math.ceil(early.wait)
    with progress_bar() as shown:
        for _ in shown.track(range(seconds), description="Publishing the next key"):
            time.sleep(1)
    return key_store.rotate()
