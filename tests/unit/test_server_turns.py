"""Whose request is next, and the threads that run them (S-110, S-111)."""

import threading
import time
from dataclasses import dataclass
from queue import SimpleQueue

from itemsapi.server.fair_queue import FairQueue
from itemsapi.server.threads import WorkerThreads

WITHIN = 20.0  # seconds, on a machine that does other things too


@dataclass(eq=False)
class Job:
    """Something that waits."""

    client: str
    name: str = ""
    queued_at: float = 0.0


def turns(*clients: str, full: frozenset[str] = frozenset()) -> FairQueue[Job]:
    """Put one job for each of `clients` in line; those in `full` may not go."""
    made: FairQueue[Job] = FairQueue(lambda client: client not in full)
    for at, client in enumerate(clients):
        made.add(Job(client, f"{client}{at}"))
    return made


def test_one_clients_requests_are_taken_in_their_order() -> None:
    """First come, first served."""
    line = turns("a", "a", "a")
    assert [line.take().name for _ in range(3)] == ["a0", "a1", "a2"]


def test_a_client_with_many_requests_takes_turns_with_the_others() -> None:
    """S-111: eight readers of one client do not make everybody wait for eight pages."""
    line = turns("a", "a", "a", "a", "b", "c")
    assert [line.take().client for _ in range(6)] == ["a", "b", "c", "a", "a", "a"]


def test_who_may_not_go_is_passed_over() -> None:
    """Its turn comes when there is room."""
    full = {"a"}
    line: FairQueue[Job] = FairQueue(lambda client: client not in full)
    for client in "ab":
        line.add(Job(client))
    first = line.take().client
    full.clear()
    line.retry_skipped()
    assert (first, line.take().client) == ("b", "a")


def test_who_may_go_again_unsaid_takes_nobody_elses_turn() -> None:
    """Its own call was spent when it might not go; the other's must not be spent on it."""
    full = {"a"}
    line: FairQueue[Job] = FairQueue(lambda client: client not in full)
    taken: SimpleQueue[str] = SimpleQueue()

    def take() -> None:
        while True:
            taken.put(line.take().client)

    for client in "aab":
        line.add(Job(client))
    threading.Thread(target=take, daemon=True).start()
    assert taken.get(timeout=WITHIN) == "b"
    line.add(Job("b"))  # the calls of the others are spent when this one is taken
    assert taken.get(timeout=WITHIN) == "b"
    full.clear()
    line.add(Job("b"))
    assert sorted(taken.get(timeout=WITHIN) for _ in range(3)) == ["a", "a", "b"]


def test_who_waited_too_long_is_taken_out_of_the_line() -> None:
    """And nobody else."""
    line = turns("a", "b")
    late = line.take()
    assert late.client == "a"
    left = Job("c")
    line.add(left)
    assert [job.client for job in line.remove_expired(left.queued_at)] == ["b"]
    assert line.take() is left


def test_a_line_that_was_emptied_is_forgotten() -> None:
    """Or every address that ever came would be kept."""
    line = turns("a", "b")
    line.remove_expired(float("inf"))
    assert len(line) == 0


def test_as_many_threads_work_as_are_wanted() -> None:
    """No more of them, however often they are started."""
    entered: SimpleQueue[None] = SimpleQueue()
    leave = threading.Event()

    def work() -> None:
        entered.put(None)
        leave.wait(WITHIN)

    threads = WorkerThreads(work, 3)
    threads.start()
    threads.start()
    for _ in range(3):
        entered.get(timeout=WITHIN)
    assert threads.count() == 3
    leave.set()


def test_a_thread_that_stands_aside_is_replaced_and_one_leaves_when_it_is_back() -> None:
    """S-110: who waits for a client's bytes takes no thread from the others."""
    jobs: SimpleQueue[str] = SimpleQueue()
    done: SimpleQueue[tuple[str, str]] = SimpleQueue()
    back = threading.Event()

    def work() -> None:
        job = jobs.get()
        if job == "wait":
            with threads.step_aside():
                back.wait(WITHIN)
        done.put((job, threading.current_thread().name))

    threads = WorkerThreads(work, 1)
    threads.start()
    jobs.put("wait")
    jobs.put("other")
    assert done.get(timeout=WITHIN)[0] == "other"
    back.set()
    assert done.get(timeout=WITHIN)[0] == "wait"
    ends = time.monotonic() + WITHIN
    while threads.count() > 1:
        assert time.monotonic() < ends
        jobs.put("more")
        done.get(timeout=WITHIN)
