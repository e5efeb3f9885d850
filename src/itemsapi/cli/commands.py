"""The commands by name; the module of a command is imported when the command is called."""

import importlib
import sys

import click

_COMMANDS = {
    "serve": "Serve the API; set everything up on first start.",
    "db": "Bring the schema of the database up to date, or back.",
    "users": "Look after users.",
    "sessions": "See and end the sessions of users.",
    "keys": "Look after the keys that sign access tokens.",
    "purge": "Delete what can matter no more.",
    "access": "Show which rule stands before which route.",
    "openapi": "Write the OpenAPI document.",
    "check": "Check the settings and what they lead to.",
}


class Commands(click.Group):
    """A group that knows its commands by name and help alone, until one is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the order of their use."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of this name."""
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        command = importlib.import_module(f"itemsapi.cli.{cmd_name}").command
        assert isinstance(command, click.Command)  # noqa: S101 - narrows the type
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; what an operator can put right is one line, not a traceback."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            failures = importlib.import_module("itemsapi.cli.errors")
            terminal = importlib.import_module("itemsapi.cli.terminal")
            line = failures.in_words(error)
            if line is None:
                raise
            terminal.say(f"itemsapi: {line}", err=True)
            sys.exit(1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="itemsapi", prog_name="itemsapi")
def main() -> None:
    """Authentication for Flask APIs, and the Items API behind it.

    Settings are environment variables; `itemsapi check` lists them.
    """
