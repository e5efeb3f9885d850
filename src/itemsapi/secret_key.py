"""The secret key: which one is strong enough, and the file that it is kept in."""

import base64
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from itemsapi.file_modes import mode_warning
from itemsapi.settings_error import setting_error

MIN_SECRET_BYTES = 32  # 256 bit: RFC 7518 section 3.2
KNOWN_SECRETS = frozenset({"secret", "changeme", "change-me", "super-secret", "dev", "password"})
SECRET_FILE = "secret.key"  # noqa: S105 - the name of a file


def is_weak(secret: str) -> bool:
    """Return whether a secret is too short or can be guessed; none at all is not weak."""
    return bool(secret) and (
        len(secret.encode()) < MIN_SECRET_BYTES
        or secret.lower() in KNOWN_SECRETS
        or len(set(secret)) < 8  # noqa: PLR2004 - "aaaa..." is long enough but no secret
    )


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
    with _explained(file):
        return file.exists()


def read_secret(file: Path) -> str:
    """Return the secret in a file. Raise `SettingsError` if there is none in it."""
    try:
        with _explained(file):
            secret = file.read_text("utf-8").strip()
    except UnicodeDecodeError as error:
        message = f"cannot be read: {file} is not UTF-8; make one with `openssl rand -base64 48`"
        raise setting_error("secret_key_file", message) from error
    if not secret:
        raise setting_error("secret_key_file", f"is empty: {file}")
    return secret


def create_secret(file: Path) -> None:
    """Create a file with a random secret; of several starting processes the first one wins."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
        temporary.touch(mode=0o600)
        temporary.write_text(secrets.token_urlsafe(48) + "\n", "utf-8")
        try:
            os.link(temporary, file)  # atomic, and fails if another process was first
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    except OSError as error:
        message = f"cannot be written: {file.parent} ({error.strerror})"
        raise setting_error("data_dir", message) from error


def is_kept_in(file: Path, secret: str) -> bool:
    """Return whether the file contains this secret."""
    try:
        return secrets.compare_digest(file.read_bytes().strip(), secret.encode())
    except OSError:
        return False


def exposure_warning(file: Path, secret: str) -> str | None:
    """Return a one-line warning if others may read the file with the secret key, else None."""
    return mode_warning(file) if is_kept_in(file, secret) else None


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    """Raise `SettingsError` if the operating system does not let the block read the file."""
    try:
        yield
    except OSError as error:
        message = f"cannot be read: {file} ({error.strerror})"
        raise setting_error("secret_key_file", message) from error
