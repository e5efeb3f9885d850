"""A worker process: signals that come while it starts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# As granian does: its handler is registered first, and the loop runs later.
STARTS = """
import asyncio, os, signal
from itemsapi.server.worker import hold_sigterm_until_the_loop_runs
loop = {library}.new_event_loop()
asyncio.set_event_loop(loop)
hold_sigterm_until_the_loop_runs()
loop.add_signal_handler(signal.SIGTERM, loop.stop)
os.kill(os.getpid(), signal.SIGTERM)
loop.run_forever()
loop.close()
print("stopped")
"""


# A worker is a child of the supervisor, and has a thread that waits for the end of this parent.
BLOCKS = r"""
import asyncio, multiprocessing, re, time
from pathlib import Path
from itemsapi import create_app
from itemsapi.server.worker import load_application

def blocks_sigterm(thread):
    mask = re.search(r"SigBlk:\s*(\w+)", (thread / "status").read_text())[1]
    return int(mask, 16) >> 14 & 1  # it is the signal 15

def work():
    asyncio.set_event_loop(asyncio.new_event_loop())
    load_application(create_app, threads=1, workers=1, number=0)
    threads = list(Path("/proc/self/task").iterdir())
    ends = time.monotonic() + 30
    while not all(map(blocks_sigterm, threads)) and time.monotonic() < ends:
        pass
    print(len(threads) > 1, sum(map(blocks_sigterm, threads)) == len(threads), flush=True)
    asyncio.get_event_loop().close()

worker = multiprocessing.get_context("fork").Process(target=work)
worker.start()
worker.join()
"""


def test_no_thread_of_a_worker_takes_a_signal_that_waits_for_its_loop(tmp_path: Path) -> None:
    """The system gives it to any thread that does not block it (R-22)."""
    environment = os.environ | {"ITEMSAPI_DATA_DIR": str(tmp_path)}
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", BLOCKS], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("True True\n", "")


# Signals that a thread blocks are blocked in the programs that it starts.
SERVES = """
import asyncio, signal
from itemsapi.server.pool import ThreadPool
from itemsapi.server.worker import hold_sigterm_until_the_loop_runs

loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
hold_sigterm_until_the_loop_runs()
blocked = ThreadPool(1).run("ada", lambda: signal.pthread_sigmask(signal.SIG_BLOCK, []))
print(loop.run_until_complete(blocked))
loop.close()
"""


def test_a_program_that_a_view_starts_can_be_told_to_stop() -> None:
    """Only the start of the worker holds signals back."""
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", SERVES], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("set()\n", "")


@pytest.mark.parametrize("library", ["asyncio", "uvloop"])
def test_a_worker_stops_when_it_is_told_to_before_its_loop_runs(library: str) -> None:
    """Such a signal is dropped by uvloop; the worker would serve on until it is killed (R-22)."""
    pytest.importorskip(library)
    code = f"import {library}\n{STARTS.format(library=library)}"
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("stopped\n", "")
