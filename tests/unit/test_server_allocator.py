"""The allocator of a worker: what password hashes took is given back."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc keeps large blocks"
)

# A thread takes and frees 20 MiB as Argon2 does; the memory that the process keeps is counted.
USES_MEMORY = """
import re, threading
from pathlib import Path

def resident():
    return int(re.search(r"VmRSS:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024

def take():
    for _ in range(3):
        bytearray(b"a") * (20 * 1024 * 1024)

def kept():
    before = resident()
    for _ in range(4):
        thread = threading.Thread(target=take)
        thread.start()
        thread.join()
    return resident() - before
"""
IN_A_WORKER = """
import asyncio
from itemsapi import create_app
from itemsapi.server.worker import load_application

asyncio.set_event_loop(asyncio.new_event_loop())
load_application(create_app, threads=1, workers=1)
asyncio.get_event_loop().close()
print(kept() < 10)
"""
ALONE = """
from itemsapi.server.allocator import return_large_blocks

print(return_large_blocks())
"""


def run(code: str, **environment: str) -> str:
    """Run code in a process of its own; return what it writes."""
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", USES_MEMORY + code],
        env=os.environ | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_a_worker_keeps_no_memory_of_hashes_when_they_are_done(tmp_path: Path) -> None:
    """Each thread would keep the 19 MiB of its last hash."""
    assert run(IN_A_WORKER, ITEMSAPI_DATA_DIR=str(tmp_path)) == "True\n"


@pytest.mark.parametrize("name", ["MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"])
def test_the_choice_of_an_operator_stays_when_there_is_one(name: str) -> None:
    """Who sets a variable of glibc has measured something else."""
    assert run(ALONE, **{name: ""}) == "False\n"


def test_large_blocks_are_mapped_when_nothing_else_is_said() -> None:
    """The C library accepts the setting."""
    assert run(ALONE) == "True\n"
