"""File modes: who may read a file with secrets or data."""

import shlex
from pathlib import Path


def mode_warning(*files: Path) -> str | None:
    """Return a one-line warning if others than its owner may use one of the files, else None."""
    exposed = [str(file) for file in files if file.stat().st_mode & 0o077]
    if not exposed:
        return None
    return f"others may read {', '.join(exposed)}; run chmod 600 {shlex.join(exposed)}"
