"""The fair queue and the threads that run its jobs (S-110, S-111)."""

import threading
import time
from dataclasses import dataclass
from queue import SimpleQueue

from itemsapi.server.fair_queue import FairQueue
from itemsapi.server.pool import WorkerThreads

TEST_TIMEOUT_SECONDS = 20.0  # seconds, on a machine that does other things too


@dataclass(eq=False)
class Job:
    """A queued job."""

    client: str
    name: str = ""
    queued_at: float = 0.0


def fair_queue(*clients: str, full: frozenset[str] = frozenset()) -> FairQueue[Job]:
    """Return a queue with one job for each of `clients`; those in `full` may not run."""
    queue: FairQueue[Job] = FairQueue(lambda client: client not in full)
    for number, client in enumerate(clients):
        queue.add(Job(client, f"{client}{number}"))
    return queue


def test_the_jobs_of_one_client_are_taken_in_their_order() -> None:
    """First in, first out."""
    queue = fair_queue("a", "a", "a")
    assert [queue.take().name for _ in range(3)] == ["a0", "a1", "a2"]


def test_clients_alternate_when_one_has_many_jobs() -> None:
    """S-111: eight requests of one client do not make all others wait."""
    queue = fair_queue("a", "a", "a", "a", "b", "c")
    assert [queue.take().client for _ in range(6)] == ["a", "b", "c", "a", "a", "a"]


def test_a_client_is_skipped_when_it_may_not_run() -> None:
    """Its jobs are taken once it may run."""
    full = {"a"}
    queue: FairQueue[Job] = FairQueue(lambda client: client not in full)
    for client in "ab":
        queue.add(Job(client))
    first = queue.take().client
    full.clear()
    queue.retry_skipped()
    assert (first, queue.take().client) == ("b", "a")


def test_no_job_is_forgotten_when_a_client_may_run_again_without_notice() -> None:
    """Its job used its wakeup while it could not run, and must not use that of another client."""
    full = {"a"}
    queue: FairQueue[Job] = FairQueue(lambda client: client not in full)
    taken: SimpleQueue[str] = SimpleQueue()

    def take() -> None:
        while True:
            taken.put(queue.take().client)

    for client in "aab":
        queue.add(Job(client))
    threading.Thread(target=take, daemon=True).start()
    assert taken.get(timeout=TEST_TIMEOUT_SECONDS) == "b"
    queue.add(Job("b"))  # the wakeups of the others are used up when this one is taken
    assert taken.get(timeout=TEST_TIMEOUT_SECONDS) == "b"
    full.clear()
    queue.add(Job("b"))
    assert sorted(taken.get(timeout=TEST_TIMEOUT_SECONDS) for _ in range(3)) == ["a", "a", "b"]


def test_a_job_is_removed_when_it_has_waited_too_long() -> None:
    """The other jobs are kept."""
    queue = fair_queue("a", "b")
    first = queue.take()
    assert first.client == "a"
    waiting = Job("c")
    queue.add(waiting)
    assert [job.client for job in queue.remove_expired(waiting.queued_at)] == ["b"]
    assert queue.take() is waiting


def test_a_client_is_forgotten_when_it_has_no_jobs() -> None:
    """Otherwise every address that ever connected would be kept."""
    queue = fair_queue("a", "b")
    queue.remove_expired(float("inf"))
    assert len(queue) == 0


def test_the_number_of_threads_is_as_requested() -> None:
    """There are no more of them, however often they are started."""
    entered: SimpleQueue[None] = SimpleQueue()
    leave = threading.Event()

    def work() -> None:
        entered.put(None)
        leave.wait(TEST_TIMEOUT_SECONDS)

    threads = WorkerThreads(work, 3)
    threads.start()
    threads.start()
    for _ in range(3):
        entered.get(timeout=TEST_TIMEOUT_SECONDS)
    assert threads.count() == 3
    leave.set()


def test_a_thread_is_replaced_while_it_steps_aside() -> None:
    """S-110: a thread that waits for a client blocks no others; one ends when it is back."""
    jobs: SimpleQueue[str] = SimpleQueue()
    done: SimpleQueue[tuple[str, str]] = SimpleQueue()
    back = threading.Event()

    def work() -> None:
        job = jobs.get()
        if job == "wait":
            with threads.step_aside():
                back.wait(TEST_TIMEOUT_SECONDS)
        done.put((job, threading.current_thread().name))

    threads = WorkerThreads(work, 1)
    threads.start()
    jobs.put("wait")
    jobs.put("other")
    assert done.get(timeout=TEST_TIMEOUT_SECONDS)[0] == "other"
    back.set()
    assert done.get(timeout=TEST_TIMEOUT_SECONDS)[0] == "wait"
    deadline = time.monotonic() + TEST_TIMEOUT_SECONDS
    while threads.count() > 1:
        assert time.monotonic() < deadline
        jobs.put("more")
        done.get(timeout=TEST_TIMEOUT_SECONDS)
