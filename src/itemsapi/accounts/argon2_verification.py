"""Argon2 in memory that stays: verify a hash without a new block of memory for each.

`argon2.PasswordHasher` takes a block for each hash, 19 MiB with the usual parameters, and frees it.
In a server that returns large blocks to the system (`server.allocator`), the system then has to
find, clear and map 4,864 pages for each sign-in: a quarter of its time. Here the block of one hash
is the block of the next one; libargon2 overwrites it with zeros after each.

libargon2 computes; its function `argon2_ctx` takes its memory from callbacks. Format: PHC strings.
"""

import base64
import binascii
import hmac
import re
from collections import deque
from typing import Any, Final

from argon2 import low_level
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from argon2.low_level import ffi

OK: Final = 0
OUT_OF_MEMORY: Final = -22  # ARGON2_MEMORY_ALLOCATION_ERROR of argon2.h
MAX_IDLE_BLOCKS: Final = 1  # as many as hashes run at once
MAX_KEPT_BYTES: Final = 64 * 1024 * 1024  # a larger block is for one hash only

_HASH = re.compile(
    r"\$argon2id\$v=(\d+)\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)", re.ASCII
)


class KeptMemory:
    """The memory of hashes, and the callbacks by which libargon2 takes it and gives it back.

    The callbacks do not refer to this object: a cycle would keep the memory until a collection.
    """

    def __init__(self) -> None:
        """Take no memory yet."""
        self.idle = deque[bytearray](maxlen=MAX_IDLE_BLOCKS)
        in_use: dict[int, tuple[bytearray, Any]] = {}  # by address
        idle = self.idle

        def take(block_out: Any, size: int) -> int:  # noqa: ANN401 - a pointer to a pointer
            try:
                block = _block(idle, size)
            except MemoryError:
                return OUT_OF_MEMORY
            block_out[0] = pointer = ffi.from_buffer("uint8_t[]", block)
            in_use[_address(pointer)] = block, pointer
            return OK

        def give_back(pointer: Any, _size: int) -> None:  # noqa: ANN401 - a pointer
            block, _ = in_use.pop(_address(pointer))
            if len(block) <= MAX_KEPT_BYTES:
                idle.append(block)

        self.take = ffi.callback("int(uint8_t **, size_t)", take)
        self.give_back = ffi.callback("void(uint8_t *, size_t)", give_back)


def _block(idle: deque[bytearray], size: int) -> bytearray:
    """Return an idle block that is large enough, or a new one in its place."""
    try:
        block = idle.pop()
    except IndexError:  # none yet, or another hash is running
        return bytearray(size)
    return block if len(block) >= size else bytearray(size)


def _address(pointer: Any) -> int:  # noqa: ANN401 - of any type
    return int(ffi.cast("uintptr_t", pointer))


def verify(memory: KeptMemory, stored: str, password: str) -> None:
    """Verify that `stored` is an Argon2id hash of `password`.

    Raise `VerifyMismatchError` for another password, `InvalidHashError` for another format, and
    `VerificationError` with libargon2's message if it fails, as for want of memory.
    """
    found = _HASH.fullmatch(stored)
    if not found:
        raise InvalidHashError
    *numbers, salt, digest = found.groups()
    expected = _decode(digest)
    computed = _compute(memory, password, _decode(salt), len(expected), [*map(int, numbers)])
    if not hmac.compare_digest(computed, expected):
        raise VerifyMismatchError


def _decode(text: str) -> bytes:
    """Decode base64 without padding. Raise `InvalidHashError`."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise InvalidHashError from None


def _compute(
    memory: KeptMemory, password: str, salt: bytes, length: int, numbers: list[int]
) -> bytes:
    """Return the hash of a password. `numbers`: version, memory in KiB, passes, lanes."""
    secret = password.encode()
    version, kibibytes, passes, lanes = numbers
    output = ffi.new("uint8_t[]", length)
    password_pointer, salt_pointer = ffi.from_buffer(secret), ffi.from_buffer(salt)
    context = ffi.new(
        "argon2_context *",
        {
            "version": version,
            "out": output, "outlen": length,
            "pwd": ffi.cast("uint8_t *", password_pointer), "pwdlen": len(secret),
            "salt": ffi.cast("uint8_t *", salt_pointer), "saltlen": len(salt),
            "m_cost": kibibytes, "t_cost": passes, "lanes": lanes, "threads": lanes,
            "allocate_cbk": memory.take, "free_cbk": memory.give_back,
        },
    )  # fmt: skip
    code = low_level.core(context, low_level.Type.ID.value)
    if code != OK:
        raise VerificationError(low_level.error_to_str(code))
    return bytes(ffi.buffer(output))
