"""The `itemsapi` command.

Exit codes: 0 on success; 1 on failure, with one line on standard error that says why; 2 on wrong
usage. With `--json` a command writes its result as JSON, and nothing else, to standard output.
"""

from itemsapi.cli.commands import main

__all__ = ["main"]
