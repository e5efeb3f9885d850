"""Give the memory of password hashes back to the system (glibc).

Argon2 takes 19 MiB for each hash. glibc maps the first such block, and when it is freed decides to
keep blocks of this size, in an area for each thread: after a storm of sign-ins a worker of 64 MiB
has 145, and keeps them. With a fixed threshold every large block is mapped, and unmapped when it is
freed. Passwords are verified in a block that stays, because mapping one took a quarter of the time
of a hash (`accounts.argon2_verification`).
"""

import ctypes
import os
from typing import Final

M_MMAP_THRESHOLD: Final = -3  # of malloc.h
LARGE_BLOCK_BYTES: Final = 1024 * 1024  # more than the objects of a request
OPERATORS_CHOICE: Final = ("MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def return_large_blocks() -> bool:
    """Map each large block by itself in this process; return whether it was done.

    It is not where another C library allocates, such as musl, and where the environment has the
    operator's own choice.
    """
    if any(name in os.environ for name in OPERATORS_CHOICE):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    return bool(library.mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES))
