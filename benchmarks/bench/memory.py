"""The memory of a process and of those that it started."""

import re
from pathlib import Path
from typing import NamedTuple

KIB_PER_MIB = 1024


class Memory(NamedTuple):
    """MiB of a parent process and of all its workers, each page that is shared counted in parts."""

    parent: float
    workers: float


def memory_of(parent: int) -> Memory:
    """Return the proportional set sizes of a process and of its descendants."""
    return Memory(proportional_mib(parent), sum(map(proportional_mib, descendants(parent))))


def proportional_mib(process: int) -> float:
    """Return the proportional set size of a process (Linux: `smaps_rollup`)."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text()
    found = re.search(r"^Pss: +(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) / KIB_PER_MIB if found else 0.0


def descendants(parent: int) -> list[int]:
    """Return the processes that the threads of a process started, and those that they started."""
    threads = Path(f"/proc/{parent}/task").glob("*/children")
    children = [int(child) for thread in threads for child in thread.read_text().split()]
    return [one for child in children for one in (child, *descendants(child))]
