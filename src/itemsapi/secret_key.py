"""The secret key: which one is strong enough, and the file that it is kept in."""

import base64
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from itemsapi.private_files import create, flush, mode_warning
from itemsapi.settings_error import ENV_PREFIX, setting_error

MIN_SECRET_BYTES = 32  # 256 bit: RFC 7518 section 3.2
NEW_SECRET_BYTES = 48
KNOWN_SECRETS = frozenset({"secret", "changeme", "change-me", "super-secret", "dev", "password"})
SECRET_FILE = "secret.key"  # noqa: S105 - the name of a file


def is_weak(secret: str) -> bool:
    """Return whether a secret is too short or can be guessed; none at all is not weak."""
    return bool(secret) and (
        len(secret.encode()) < MIN_SECRET_BYTES
        or secret.lower() in KNOWN_SECRETS
        or len(set(secret)) < 8  # noqa: PLR2004 - "aaaa..." is long enough but no secret
    )


def is_same_secret(secret: str, other: str) -> bool:
    """Return whether two secrets are the same; none at all is not the same."""
    return bool(secret) and secrets.compare_digest(secret.encode(), other.encode())


def is_unfit_previous(previous: str, secret: str) -> bool:
    """Return whether a previous secret is weak, or the secret key itself."""
    return is_weak(previous) or is_same_secret(secret, previous)


def make_secret() -> str:
    """Return a new random secret, as text."""
    return secrets.token_urlsafe(NEW_SECRET_BYTES)


def text_of_secret(secret: bytes) -> str:
    """Return the text of a secret in bytes: itself in UTF-8, or base64 of random bytes.

    Raise `ValueError` for too few random bytes: base64 would make them long enough.
    """
    try:
        text = secret.decode("utf-8").strip()
    except UnicodeDecodeError:
        text = ""
    if text.isprintable() and text:
        return text
    if len(secret) < MIN_SECRET_BYTES:
        msg = f"is weak; use {MIN_SECRET_BYTES} random bytes or more"
        raise ValueError(msg)
    return base64.b64encode(secret).decode("ascii")


def secret_exists(file: Path) -> bool:
    """Return whether there is a file. Raise `SettingsError` if that cannot be known."""
    with _explained(file, "secret_key_file"):
        return file.exists()


def read_secret(file: Path, setting: str = "secret_key_file") -> str:
    """Return the secret in a file. Raise `SettingsError`, which names `setting`, if there is none.

    A secret is text: a file of random bytes would lose those that look like blanks.
    """
    try:
        with _explained(file, setting):
            secret = file.read_text("utf-8").strip()
    except UnicodeDecodeError as error:
        message = f"is not text: {file} has raw bytes; write another one with `itemsapi secret new"
        raise setting_error(setting, f"{message} FILE`") from error
    if not secret:
        message = f"is empty: {file}; delete it, and write it with `itemsapi secret new {file}`"
        raise setting_error(setting, message)
    return secret


class SecretSettings(Protocol):
    """The settings that are about secret keys: `itemsapi.settings.Settings`."""

    @property
    def secret_key(self) -> str: ...  # noqa: D102 - see `Settings`
    @property
    def secret_key_file(self) -> Path | None: ...  # noqa: D102
    @property
    def secret_key_previous(self) -> str: ...  # noqa: D102
    @property
    def secret_key_previous_file(self) -> Path | None: ...  # noqa: D102
    @property
    def secret_file(self) -> Path: ...  # noqa: D102
    @property
    def production(self) -> bool: ...  # noqa: D102


def read_secrets(settings: SecretSettings) -> tuple[str, str]:
    """Return the current and the previous secret key, from the settings or their files.

    The current one is empty if the first process that needs one may make it. Raise `SettingsError`
    for a file that is missing or has no secret, and in production without a secret.
    """
    previous, file = settings.secret_key_previous, settings.secret_key_previous_file
    if not previous and file:
        previous = read_secret(file, "secret_key_previous_file")
    if settings.secret_key:
        return settings.secret_key, previous
    if settings.secret_key_file or secret_exists(settings.secret_file):
        return read_secret(settings.secret_file), previous
    if settings.production or previous:
        message = "is missing; run `itemsapi secret new FILE`"
        raise setting_error("secret_key", f"{message}, and set {ENV_PREFIX}SECRET_KEY_FILE=FILE")
    return "", ""


def kept_secrets(settings: SecretSettings) -> list[tuple[Path, str]]:
    """Return the files that may have a secret key, each with that key: the current one first."""
    previous_file = settings.secret_key_previous_file
    previous = [(previous_file, settings.secret_key_previous)] if previous_file else []
    return [(settings.secret_file, settings.secret_key), *previous]


def write_new_secret(file: Path) -> bool:
    """Write a new secret to a file with mode 0600. Return False if there is a file: it is kept.

    Other processes see no file, or all of it, also after a power cut: without the secret nobody can
    read the keys in the database. Of several that start at once the first one wins.
    """
    temporary = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    create(temporary)
    try:
        temporary.write_text(make_secret() + "\n", "utf-8")
        flush(temporary)
        os.link(temporary, file)  # atomic, and fails if there is one
        flush(file.parent)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    return True


def create_secret(file: Path) -> None:
    """Create a file with a random secret, and its folder, unless another process was first."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_new_secret(file)
    except OSError as error:
        message = f"cannot be written: {file.parent} ({error.strerror}); name a folder"
        raise setting_error("data_dir", f"{message} that you can write") from error


def is_kept_in(file: Path, secret: str) -> bool:
    """Return whether the file contains this secret."""
    try:
        return secrets.compare_digest(file.read_bytes().strip(), secret.encode())
    except OSError:
        return False


def exposure_warning(settings: SecretSettings) -> str | None:
    """Return a one-line warning if others may read a file that has its secret, else None."""
    kept = kept_secrets(settings)
    return mode_warning(*(file for file, secret in kept if is_kept_in(file, secret)))


@contextmanager
def _explained(file: Path, setting: str) -> Iterator[None]:
    """Raise `SettingsError` if the operating system does not let the block read the file."""
    try:
        yield
    except FileNotFoundError as error:
        message = f"does not exist: {file}; write it with `itemsapi secret new {file}`"
        raise setting_error(setting, message) from error
    except PermissionError as error:
        message = f"cannot be read: {file} ({error.strerror}); give it to the user of the service"
        raise setting_error(setting, f"{message} with `chown USER {file}`") from error
    except OSError as error:
        message = f"cannot be read: {file} ({error.strerror}); name a file with a secret"
        raise setting_error(setting, message) from error
