"""`itemsapi secret`: make a secret key, rotate it, and revoke one that leaked."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from itemsapi.cli.confirmation import require_confirmation, yes_option
from itemsapi.cli.context import open_services
from itemsapi.cli.terminal import counted, json_option, print_lines, print_result
from itemsapi.command_line import command_line
from itemsapi.secret_key import make_secret, write_new_secret
from itemsapi.settings import ENV_PREFIX, SettingsError

if TYPE_CHECKING:
    from itemsapi.issuer.secret_rotation import PreviousSecretUse


@click.group
def command() -> None:
    """Make the secret key, rotate it, or revoke one that leaked."""


@command.command
@click.argument("file", required=False, type=click.Path(path_type=Path))
def new(file: Path | None) -> None:
    """Print a new secret key, or write it to FILE with mode 0600. No file is overwritten."""
    if file is None:
        print_lines(make_secret())
        return
    try:
        is_written = write_new_secret(file)
    except OSError as error:
        raise SettingsError(
            f"{file} cannot be written: {error.strerror}; name another file"
        ) from error
    if not is_written:
        raise SettingsError(f"{file} exists, and is kept; name another file")
    setting = f"{ENV_PREFIX}SECRET_KEY_FILE={shlex.quote(str(file.absolute()))}"
    print_lines(f"Wrote {file}, readable by its owner only. Set {setting}.")


@command.command
@json_option
def rotate(*, as_json: bool) -> None:
    """Change over to the current secret key, when each process has the previous one too.

    Encrypts the signing keys again; new refresh tokens are signed with the current secret. Nobody
    is signed out, and no token becomes invalid. `check` says when the previous secret may go.
    """
    from itemsapi.issuer.secret_rotation import previous_secret_use  # noqa: PLC0415 - not for its help

    with open_services() as services:
        key_store = services.key_set.key_store
        changed = key_store.use_current_secret()
        use = previous_secret_use(services.issuer, key_store)
    words = f"Encrypted {counted(changed, 'key')} with the current secret."
    lines = [words if changed else "The current secret is in use already."]
    if services.settings.secret_key_previous:
        lines.append(f"The previous secret: {describe_previous_secret_use(use)}.")
    result = {"keys": changed, "sessions": use.sessions, "until": use.until}
    print_result(result, *lines, as_json=as_json)


@command.command
@yes_option
def revoke(*, yes: bool) -> None:
    """Revoke the secret key that was in use before: it leaked, or is lost.

    Set another one first. All signing keys are withdrawn and all sessions end: nothing that was
    made with the old secret is valid any more.
    """
    from itemsapi.issuer.secret_rotation import revoke_secret  # noqa: PLC0415 - not for its help

    with open_services() as services:
        key_store = services.key_set.key_store
        key_store.require_other_secret()
        words = "All tokens become invalid. All users have to sign in again."
        require_confirmation(words, yes=yes)
        revoke_secret(services.issuer, key_store)
    print_lines("Revoked the old secret: all keys are new, and all sessions have ended.")
    print_lines("Restart each process that still has the old secret; until then it responds 503.")


def describe_previous_secret_use(use: "PreviousSecretUse") -> str:
    """Return what still needs the previous secret."""
    if use.keys:
        return f"the keys in the database need it; {next_step_of_previous_secret(use)}"
    if use.sessions:
        sessions, date = counted(use.sessions, "session"), use.until.date()
        return f"{sessions} may need it, until {date} at the latest; keep it"
    return f"nothing needs it any more; {next_step_of_previous_secret(use)}"


def next_step_of_previous_secret(use: "PreviousSecretUse") -> str:
    """Return what to do with the previous secret when nothing is to be waited for."""
    if use.keys:
        return f"when each process has both secrets, run {command_line('secret rotate')}"
    setting = f"{ENV_PREFIX}SECRET_KEY_PREVIOUS"
    return f"remove {setting}, or {setting}_FILE"
