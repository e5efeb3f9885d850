"""CPU affinity: the threads of a worker share one core, and that of hashes uses the others.

Only the thread that holds the global interpreter lock (GIL) runs Python. When it passes the GIL to
a thread on another core, that core has to wake up first, and `sqlite3` releases the GIL for each
row: a list takes twice as long as with all threads on one core (docs/adr/0022). A hash is computed
without the GIL, so it is better on another core.

Other programs may keep the core busy, such as another service that chose the same one. So the core
is chosen again every few seconds: the threads move to one that is clearly less busy.
"""

import os
import random
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

CHECK_SECONDS: Final = 2.0  # on average, between two looks at the load
CLEARLY_LESS: Final = 0.3  # of a core: how much less busy another one is when the threads move
TASKS: Final = Path("/proc/self/task")  # the threads of this process
FIELDS: Final = 8  # of a line in /proc/stat; the rest is part of them (proc_stat(5))
_IDLE, _IOWAIT = 3, 4


_elsewhere: set[int] = set()  # the threads that use the other cores, by their native id


class SharedCore:
    """The core that the threads of this process share, among those that it may use."""

    def __init__(self, cores: frozenset[int], core: int) -> None:
        """Move all threads of this process to `core`; new ones start there."""
        self.cores = cores
        self.move(core)

    def move(self, core: int) -> None:
        """Move all threads to another core, and those on the other cores to the rest."""
        self.core = core
        placed: set[int] = set()
        # A thread that starts meanwhile begins where the thread that starts it is.
        while new := {int(task.name) for task in TASKS.iterdir()} - placed:
            for thread in new:
                self.place(thread)
            placed |= new

    def place(self, thread: int) -> None:
        """Let a thread use the cores that it should. It may have ended, or be forbidden to."""
        cores = self.cores - {self.core} if thread in _elsewhere else {self.core}
        with suppress(OSError):
            os.sched_setaffinity(thread, cores)


_shared: SharedCore | None = None


def share_one_core(number: int) -> SharedCore | None:
    """Let all threads of this process share a core: the one at `number`, counted in a circle.

    Return None, and change nothing, where that is not possible or of no use: with one core, without
    a GIL (free-threaded Python), without `/proc`, or on a system other than Linux.
    """
    global _shared  # noqa: PLW0603 - it is a property of the process
    if sys.platform != "linux" or not getattr(sys, "_is_gil_enabled", lambda: True)():
        return None
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1 and TASKS.is_dir():
        _shared = SharedCore(frozenset(cores), cores[number % len(cores)])
        threading.Thread(target=_follow_load, args=(_shared,), daemon=True).start()
    return _shared


def use_other_cores() -> None:
    """Let this thread use the other cores: it works without the GIL."""
    thread = threading.get_native_id()
    _elsewhere.add(thread)
    if _shared is not None:
        _shared.place(thread)


class Times(NamedTuple):
    """The time of a core since the system started, in ticks: of all kinds, and busy."""

    all: int
    busy: int


def read_times(text: str) -> dict[int, Times]:
    """Return the times of each core in the text of `/proc/stat`."""
    lines = [line.split() for line in text.splitlines()]
    return {
        int(name.removeprefix("cpu")): _times([*map(int, ticks[:FIELDS])])
        for name, *ticks in lines
        if name.startswith("cpu") and name != "cpu"
    }


def _times(ticks: list[int]) -> Times:
    return Times(sum(ticks), sum(ticks) - ticks[_IDLE] - ticks[_IOWAIT])


class Load:
    """How busy each core is, and which one is best for this process."""

    def __init__(self, stat: Path = Path("/proc/stat"), tasks: Path = TASKS) -> None:
        """Take what tells the times of the cores, and those of the threads of this process."""
        self._stat, self._tasks = stat, tasks
        self._times, self._own = self._read()

    def better_core(self, shared: SharedCore) -> int | None:
        """Return a core that was clearly less busy than the shared one since the last call.

        What the threads on the shared core did themselves does not count. None means to stay.
        """
        before, own = self._times, self._own
        self._times, self._own = self._read()
        known = before.keys() & self._times.keys()  # cores come and go in a virtual machine
        busy = {core: _share(before[core], self._times[core]) for core in known}
        if shared.core not in busy:
            return None  # a container may hide it
        passed = self._times[shared.core].all - before[shared.core].all
        own_share = max(0, self._own - own) / passed if passed > 0 else 0.0
        return _quietest(busy, shared, busy[shared.core] - own_share)

    def _read(self) -> tuple[dict[int, Times], int]:
        tasks = [task for task in self._tasks.iterdir() if int(task.name) not in _elsewhere]
        return read_times(self._stat.read_text()), sum(map(_ticks_of, tasks))


def _ticks_of(task: Path) -> int:
    """Return the CPU time of a thread in ticks (proc_pid_stat(5)); 0 if it has ended."""
    try:
        fields = (task / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])  # utime and stime


def _share(before: Times, now: Times) -> float:
    """Return which part of the time between two readings a core was busy."""
    passed = now.all - before.all
    return (now.busy - before.busy) / passed if passed > 0 else 0.0


def _quietest(busy: Mapping[int, float], shared: SharedCore, others: float) -> int | None:
    """Return the least busy core if that is clearly less than `others` keep the shared one busy."""
    choice = min(shared.cores & busy.keys() - {shared.core}, key=busy.__getitem__, default=None)
    if choice is None or busy[choice] > others - CLEARLY_LESS:
        return None
    return choice


def _follow_load(shared: SharedCore) -> None:
    """Move the threads whenever another core is better, until the process ends."""
    with suppress(OSError):  # where `/proc/stat` cannot be read, the threads stay
        load = Load()
        while True:
            # At random, so that two processes that share a core do not both move to the same one.
            time.sleep(random.uniform(0.5, 1.5) * CHECK_SECONDS)  # noqa: S311 - no secret
            core = load.better_core(shared)
            if core is not None:
                shared.move(core)
