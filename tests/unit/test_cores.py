"""The cores that the threads of a process use."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
TICKS = os.sysconf("SC_CLK_TCK")


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> SharedCore:
    """Return a core 0 of two that moves no thread of the tests."""
    monkeypatch.setattr(os, "sched_setaffinity", lambda *_: None)
    return SharedCore(frozenset({0, 1}), 0)


@pytest.mark.parametrize(
    ("busy", "own", "better"),
    [
        ((100, 0), 0.2, 1),  # others take 80 % of ours, and the other one is free
        ((100, 0), 1.0, None),  # it is this process that keeps the core busy
        ((100, 90), 0.5, None),  # the other one is no better
        ((100, 49), 0.2, 1),
        ((100, 51), 0.2, None),  # not clearly better
        ((0, 0), 0.0, None),
    ],
)
def test_the_threads_move_when_another_core_is_clearly_less_busy(
    tmp_path: Path, shared: SharedCore, busy: tuple[int, int], own: float, better: int | None
) -> None:
    """Of 100 ticks of each core, `busy` are busy, and `own` is the share of this process."""
    stat, spent = tmp_path / "stat", iter([7.0, 7.0 + own * 100 / TICKS])
    stat.write_text(STAT.format(500, 900, 70, 30))
    load = Load(stat, lambda: next(spent))
    stat.write_text(STAT.format(500 + busy[0], 1000 - busy[0], 70 + busy[1], 130 - busy[1]))
    assert load.better_core(shared) == better


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
    load = Load(stat, lambda: 0.0)
    stat.write_text("cpu0 200 0 0 0 0 0 0 0\ncpu2 0 0 0 200 0 0 0 0\n")
    assert load.better_core(shared) is None


def test_time_of_a_guest_is_counted_once_when_a_core_runs_one() -> None:
    """It is part of the time of user programs (proc_stat(5))."""
    assert read_times("cpu3 10 0 0 80 10 0 0 0 9 0\n")[3] == (100, 10)
