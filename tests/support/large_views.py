"""Pages that are large, or that wait: what tests of the server are written with."""

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from flask import Response, request

from itemsapi import Blueprint, public, signed_in

MIB = 1024 * 1024
LARGEST = 60 * MIB  # bytes that /uploads takes
WITHIN = 60.0  # seconds that anything here waits at most

heavy = Blueprint("heavy", __name__)


@heavy.post("/uploads")
@signed_in
@heavy.response(200)
def upload() -> object:
    """Take a large body, piece by piece, and say what it was."""
    request.max_content_length = LARGEST
    digest, size = hashlib.sha256(), 0
    while piece := request.stream.read(MIB):
        digest.update(piece)
        size += len(piece)
    return {"size": size, "sha256": digest.hexdigest()}


@heavy.get("/large")
@signed_in
@heavy.response(200, content_type="application/octet-stream")
def large() -> Response:
    """Give a MiB, as the largest page of a list is."""
    return Response(b"x" * MIB, content_type="application/octet-stream")


@heavy.get("/stream")
@signed_in
@heavy.response(200, content_type="application/octet-stream")
def stream() -> Response:
    """Give 16 MiB that are made as they are taken."""

    def made() -> Iterator[bytes]:
        for at in range(256):
            yield bytes([at]) * 65536

    return Response(made(), content_type="application/octet-stream")


@heavy.get("/held/<name>")
@public("a test waits for it")
@heavy.response(200)
def held(name: str) -> object:
    """Say in a file that somebody is here, and answer when there is another."""
    folder = Path(os.environ["ITEMSAPI_DATA_DIR"])
    (folder / f"{name}.here").touch()
    ends = time.monotonic() + WITHIN
    while not (folder / f"{name}.go").exists() and time.monotonic() < ends:
        time.sleep(0.01)
    return {"name": name}
