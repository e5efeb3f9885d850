"""A worker process: signals that come while it starts."""

import subprocess
import sys

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


@pytest.mark.parametrize("library", ["asyncio", "uvloop"])
def test_a_worker_stops_when_it_is_told_to_before_its_loop_runs(library: str) -> None:
    """Such a signal is dropped by uvloop; the worker would serve on until it is killed (R-22)."""
    pytest.importorskip(library)
    code = f"import {library}\n{STARTS.format(library=library)}"
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("stopped\n", "")
