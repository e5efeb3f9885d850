"""Views with large bodies, or that wait, for tests of the server."""

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from flask import Response, request

from itemsapi import Blueprint, public, signed_in

MIB = 1024 * 1024
MAX_UPLOAD_BYTES = 60 * MIB  # of /uploads
WAIT_TIMEOUT_SECONDS = 60.0  # the longest wait of any view

heavy = Blueprint("heavy", __name__)


@heavy.post("/uploads")
@signed_in
@heavy.response(200)
def upload() -> object:
    """Read a large body in pieces; return its size and digest."""
    request.max_content_length = MAX_UPLOAD_BYTES
    digest, size = hashlib.sha256(), 0
    while piece := request.stream.read(MIB):
        digest.update(piece)
        size += len(piece)
    return {"size": size, "sha256": digest.hexdigest()}


@heavy.get("/large")
@signed_in
@heavy.response(200, content_type="application/octet-stream")
def large() -> Response:
    """Return 1 MiB, the size of the largest page of a list."""
    return Response(b"x" * MIB, content_type="application/octet-stream")


@heavy.get("/stream")
@signed_in
@heavy.response(200, content_type="application/octet-stream")
def stream() -> Response:
    """Return 16 MiB, generated while they are sent."""

    def chunks() -> Iterator[bytes]:
        for at in range(256):
            yield bytes([at]) * 65536

    return Response(chunks(), content_type="application/octet-stream")


@heavy.get("/held/<name>")
@public("a test waits for it")
@heavy.response(200)
def wait_for_file(name: str) -> object:
    """Create the file `{name}.here`, and respond as soon as `{name}.go` exists."""
    folder = Path(os.environ["ITEMSAPI_DATA_DIR"])
    (folder / f"{name}.here").touch()
    deadline = time.monotonic() + WAIT_TIMEOUT_SECONDS
    while not (folder / f"{name}.go").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return {"name": name}
