"""The commands by name; the module of a command is imported only when the command is run."""

import importlib
import shlex
import sys

import click

from itemsapi.command_line import called_as

_COMMANDS = {
    "serve": "Serve the API; set up everything on first start.",
    "db": "Upgrade, back up, restore and copy the database.",
    "users": "Manage users.",
    "roles": "Manage the roles of users.",
    "sessions": "List and end the sessions of users.",
    "keys": "Manage the keys that sign access tokens.",
    "secret": "Make, rotate or revoke the secret key.",
    "purge": "Delete expired data.",
    "access": "Show the access rule of every route.",
    "openapi": "Write the OpenAPI document.",
    "verify": "Attack a running service from its OpenAPI document.",
    "check": "Check the settings and what depends on them.",
}


class Commands(click.Group):
    """A click group that knows only the names and help texts of its commands until one is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the order in which they are usually needed."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command with this name."""
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
        """Run a command; print an error that an operator can fix in its words, not a traceback."""
        try:
            with called_as(_program(ctx)):
                return super().invoke(ctx)
        except click.NoSuchOption as error:
            if error.option_name != "--app":
                raise
            words = "--app stands before the command: itemsapi --app MODULE:APP ..."
            raise click.UsageError(words, error.ctx) from None
        except Exception as error:
            errors = importlib.import_module("itemsapi.cli.errors")
            terminal = importlib.import_module("itemsapi.cli.terminal")
            lines = errors.error_lines(error)
            if lines is None:
                raise
            terminal.print_lines(f"itemsapi: {lines[0]}", *lines[1:], err=True)
            sys.exit(1)


def _program(context: click.Context) -> str:
    """Return how the commands are called here, with the application that they are for."""
    if context.parent is None:
        path, form = context.params.get("app_path"), "itemsapi --app {}"
    else:  # below the command `flask`, which keeps the path in its `ScriptInfo`
        path, form = getattr(context.obj, "app_import_path", None), "flask --app {} itemsapi"
    return form.format(shlex.quote(path)) if path else form.replace(" --app {}", "")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="itemsapi", prog_name="itemsapi")
@click.option(
    "--app",
    "app_path",
    metavar="MODULE:APP",
    help="The Flask application or factory that has the layer. [default: the Items API]",
)
@click.pass_context
def main(context: click.Context, app_path: str | None) -> None:
    """Authentication for Flask APIs, and the Items API behind it.

    Settings are environment variables; `itemsapi check` lists them.
    """
    if app_path is not None:
        script_info = importlib.import_module("flask.cli").ScriptInfo
        context.obj = script_info(app_import_path=app_path, set_debug_flag=False)


def host_commands() -> click.Group:
    """Return the commands as a group for the command `flask`, which names the application."""
    words = "Manage the authentication layer of this application."
    return Commands("itemsapi", help=words)
