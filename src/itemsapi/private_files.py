"""Files with secrets or data: only their owner may read them, and a power cut takes none back."""

import os
import shlex
from pathlib import Path


def create(file: Path) -> None:
    """Create an empty file with mode 0600. Raise `FileExistsError` if there is one."""
    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def mode_warning(*files: Path) -> str | None:
    """Return a one-line warning if others than its owner may use one of the files, else None."""
    exposed = [str(file) for file in files if file.stat().st_mode & 0o077]
    if not exposed:
        return None
    return f"others may read {', '.join(exposed)}; run chmod 600 {shlex.join(exposed)}"
