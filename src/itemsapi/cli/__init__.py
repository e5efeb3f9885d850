"""The `itemsapi` command.

Exit codes: 0 done; 1 refused or failed, with one line on standard error that says why; 2 used
wrongly. With `--json` a command writes what it found as JSON and nothing else to standard output.
"""

from itemsapi.cli.commands import main

__all__ = ["main"]
