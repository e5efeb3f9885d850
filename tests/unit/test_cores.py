"""The cores that the threads of a process use."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from itemsapi import cores
from itemsapi.cores import Load, SharedCore, read_times

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="others cannot pin a thread")
needs_two_cores = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="with one core there is nothing to choose"
)

# In a process of its own: the tests must not lose a core.
PREPARED = """
import os, threading
from itemsapi import cores

usable = sorted(os.sched_getaffinity(0))

def in_a_thread(function):
    seen = []
    thread = threading.Thread(target=lambda: seen.append(function()))
    thread.start()
    thread.join()
    return seen[0]

def used():
    return sorted(os.sched_getaffinity(0))
"""


def run(code: str) -> str:
    """Run code in a process of its own; return what it writes."""
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", PREPARED + code], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


@needs_two_cores
def test_all_threads_share_the_core_of_the_worker_when_it_starts() -> None:
    """Those from before, and those that start later."""
    code = """
ended = threading.Event()
early = threading.Thread(target=ended.wait)
early.start()
cores.share_one_core(1)
print(sorted(os.sched_getaffinity(early.native_id)) == used() == in_a_thread(used) == [usable[1]])
ended.set()
"""
    assert run(code) == "True\n"


@needs_two_cores
def test_workers_take_cores_in_turn_when_there_are_more_of_them() -> None:
    """The number of the worker is that of the core, and then it starts again."""
    code = "cores.share_one_core(len(usable))\nprint(used() == usable[:1])"
    assert run(code) == "True\n"


@needs_two_cores
@pytest.mark.parametrize("order", ["before", "after"])
def test_a_thread_uses_the_other_cores_whenever_it_started(order: str) -> None:
    """That of password hashes must not take the core that runs Python."""
    code = f"""
ended = threading.Event()
started = threading.Event()

def work():
    cores.use_other_cores()
    started.set()
    ended.wait()

thread = threading.Thread(target=work)
if {order == "after"}:
    cores.share_one_core(0)
thread.start()
started.wait()
if {order == "before"}:
    cores.share_one_core(0)
print(sorted(os.sched_getaffinity(thread.native_id)) == usable[1:], used() == usable[:1])
ended.set()
"""
    assert run(code) == "True True\n"


@needs_two_cores
def test_a_thread_on_the_other_cores_gives_way_when_the_threads_move() -> None:
    """It goes to where they were."""
    code = """
shared = cores.share_one_core(0)

def work():
    cores.use_other_cores()
    shared.move(usable[1])
    return used()

print(in_a_thread(work) == [usable[0], *usable[2:]], used() == [usable[1]])
"""
    assert run(code) == "True True\n"


def test_a_process_with_one_core_is_left_alone() -> None:
    """An operator has chosen that core, with `taskset` or a set of cores of a container."""
    code = """
os.sched_setaffinity(0, usable[:1])
print(cores.share_one_core(5), used() == usable[:1], threading.active_count())
"""
    assert run(code) == "None True 1\n"


@needs_two_cores
def test_a_process_that_cannot_see_its_threads_is_left_alone() -> None:
    """A sandbox may have no `/proc`; the worker has to start there too."""
    code = """
from pathlib import Path
cores.TASKS = Path("/nowhere")
print(cores.share_one_core(0), used() == usable)
"""
    assert run(code) == "None True\n"


def test_threads_use_every_core_when_they_share_none() -> None:
    """Without `share_one_core`, as in an application of somebody else, nothing is changed."""
    code = "cores.use_other_cores()\nprint(used() == usable)"
    assert run(code) == "True\n"


def test_a_core_that_the_system_refuses_leaves_the_threads_where_they_are() -> None:
    """A container may forbid the call, or take a core away."""
    code = "cores.SharedCore(frozenset({4095}), 4095)\nprint(used() == usable)"
    assert run(code) == "True\n"


# The core is chosen again by what other programs do: ticks of user, nice, system, idle, iowait...
STAT = """cpu  0 0 0 0 0 0 0 0 0 0
cpu0 {0} 0 0 {1} 0 0 0 0 0 0
cpu1 {2} 0 0 {3} 50 0 0 0 0 0
intr 12 0
"""


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> SharedCore:
    """Return a core 0 of two that moves no thread of the tests."""
    monkeypatch.setattr(os, "sched_setaffinity", lambda *_: None)
    return SharedCore(frozenset({0, 1}), 0)


class Counters:
    """The files of the system that tell the times of the cores and of the threads."""

    def __init__(self, folder: Path) -> None:
        """Create them, with two threads."""
        self.stat, self.tasks = folder / "stat", folder / "tasks"
        for thread in ("7", "8"):
            (self.tasks / thread).mkdir(parents=True)

    def write(self, stat: str, *, own: int, elsewhere: int = 0) -> Load:
        """Set the ticks of the cores, of the thread on the shared core, and of the other one."""
        self.stat.write_text(stat)
        for thread, ticks in (("7", own), ("8", elsewhere)):
            line = f"{thread} (a) name) S 1 1 1 0 -1 0 0 0 0 0 {ticks} 1 0 0"
            (self.tasks / thread / "stat").write_text(line)
        return Load(self.stat, self.tasks)


@pytest.mark.parametrize(
    ("busy", "own", "better"),
    [
        ((100, 0), 20, 1),  # others take 80 % of ours, and the other one is free
        ((100, 0), 100, None),  # it is this process that keeps the core busy
        ((100, 90), 50, None),  # the other one is no better
        ((100, 49), 20, 1),
        ((100, 51), 20, None),  # not clearly better
        ((0, 0), 0, None),
        ((100, 0), -50, 1),  # of a thread that has ended
    ],
)
def test_the_threads_move_when_another_core_is_clearly_less_busy(
    tmp_path: Path, shared: SharedCore, busy: tuple[int, int], own: int, better: int | None
) -> None:
    """Of 100 ticks of each core, `busy` are busy, and this process used `own` of them."""
    counters = Counters(tmp_path)
    load = counters.write(STAT.format(500, 900, 70, 30), own=70)
    stat = STAT.format(500 + busy[0], 1000 - busy[0], 70 + busy[1], 130 - busy[1])
    counters.write(stat, own=70 + own)
    assert load.better_core(shared) == better


def test_a_hash_on_another_core_is_no_work_of_the_shared_one(
    tmp_path: Path, shared: SharedCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the threads would stay beside another program whenever passwords are hashed."""
    monkeypatch.setattr(cores, "_elsewhere", {8})
    counters = Counters(tmp_path)
    load = counters.write(STAT.format(0, 0, 0, 0), own=0)
    counters.write(STAT.format(100, 0, 10, 90), own=10, elsewhere=90)
    assert load.better_core(shared) == 1


def test_the_threads_stay_when_the_system_does_not_tell_about_their_core(
    tmp_path: Path, shared: SharedCore
) -> None:
    """A container may show only some cores."""
    stat = tmp_path / "stat"
    stat.write_text("cpu7 1 2 3 4 5 6 7 8 9 10\n")
    assert Load(stat).better_core(shared) is None


def test_the_threads_stay_when_a_core_appears_and_another_one_goes(
    tmp_path: Path, shared: SharedCore
) -> None:
    """A virtual machine may get and lose cores while it runs."""
    stat = tmp_path / "stat"
    stat.write_text("cpu0 100 0 0 0 0 0 0 0\ncpu1 0 0 0 100 0 0 0 0\n")
    load = Load(stat)
    stat.write_text("cpu0 200 0 0 0 0 0 0 0\ncpu2 0 0 0 200 0 0 0 0\n")
    assert load.better_core(shared) is None


def test_time_of_a_guest_is_counted_once_when_a_core_runs_one() -> None:
    """It is part of the time of user programs (proc_stat(5))."""
    assert read_times("cpu3 10 0 0 80 10 0 0 0 9 0\n")[3] == (100, 10)
