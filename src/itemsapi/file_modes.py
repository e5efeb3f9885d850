"""File modes: who may read a file with secrets or data."""

from pathlib import Path


def mode_warning(file: Path) -> str | None:
    """Return a one-line warning if others than its owner may use a file, else None."""
    return f"others may read {file}; run chmod 600 {file}" if file.stat().st_mode & 0o077 else None
