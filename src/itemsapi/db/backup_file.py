"""Backup files: which database one is of, and a new file that appears only when it is whole."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from itemsapi.command_line import command_line
from itemsapi.operator_error import OperatorError
from itemsapi.private_files import create, flush

ReportSteps = Callable[[float], None]  # reports that steps are done
BeginTask = Callable[[str, float], ReportSteps]  # by its description and number of steps
Kind = Literal["sqlite", "postgresql"]

_MAGIC: dict[bytes, Kind] = {b"SQLite format 3\0": "sqlite", b"PGDMP": "postgresql"}


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose tables a backup has: the revision of the layer, and the name of the set of users."""

    revision: str | None
    users: str | None


class BackupFailed(OperatorError, RuntimeError):
    """A backup cannot be made, read or restored; the message says why, and what to do."""


def kind_of(file: Path) -> Kind:
    """Return which database a backup is of. Raise `BackupFailed` for any other file."""
    with file.open("rb") as opened:
        start = opened.read(max(map(len, _MAGIC)))
    for magic, kind in _MAGIC.items():
        if start.startswith(magic):
            return kind
    raise BackupFailed(f"{file} is not a backup; {command_line('db backup FILE')} makes one")


@contextmanager
def new_file(file: Path) -> Iterator[Path]:
    """Yield the path to write to; at the end of the block it becomes `file`, with mode 0600.

    The name is reserved first, so that no file is overwritten: then `BackupFailed` is raised. After
    an error nothing is left; after a kill `file` is empty, which no command takes for a backup, and
    beside it is what was written, `FILE.RANDOM.part`.
    """
    try:
        create(file)
    except FileExistsError as error:
        raise BackupFailed(f"{file} exists; give the backup another name") from error
    part = file.with_name(f"{file.name}.{secrets.token_hex(8)}.part")
    try:
        create(part)
        yield part
        flush(part)
        part.replace(file)
        flush(file.parent)
    except BaseException:
        part.unlink(missing_ok=True)
        file.unlink(missing_ok=True)
        raise
