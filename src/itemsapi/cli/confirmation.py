"""Confirmation: commands that cannot be undone ask first, or need `--yes`."""

import sys
from collections.abc import Callable
from typing import TypeVar

import click

from itemsapi.operator_error import OperatorError

Function = TypeVar("Function", bound=Callable[..., object])


class NotConfirmed(OperatorError, RuntimeError):
    """Nobody confirmed what cannot be undone; nothing was changed."""


def yes_option(function: Function) -> Function:
    """Add the option `--yes` to a command."""
    return click.option("--yes", is_flag=True, help="Do not ask.")(function)


def require_confirmation(consequence: str, *, yes: bool) -> None:
    """Ask at a terminal whether to continue, unless `--yes` was given.

    Raise `NotConfirmed` for another answer than yes, and without a terminal: a script says --yes.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise NotConfirmed(f"{consequence} Add --yes to confirm; nothing was changed")
    if not click.confirm(f"{consequence} Continue?", err=True):
        raise NotConfirmed("nothing was changed")
