"""Progress: a bar for long work, on standard error, where somebody is watching."""

from rich.console import Console
from rich.progress import Progress


def bar() -> Progress:
    """Return a progress bar; it shows nothing unless standard error is a terminal."""
    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=not console.is_terminal)
