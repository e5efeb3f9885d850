"""Load by wrk, on a core of its own: requests of a file, in a random order."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

SCRIPT = Path(__file__).with_name("requests.lua")
RESULT = re.compile(r"^BENCH (\{.*\})$", re.MULTILINE)  # the line that the script prints


class Request(NamedTuple):
    """A request. `body` is JSON text; a request with one comes from a random address."""

    method: str
    path: str
    authorization: str = ""
    body: str = ""


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk sends, and how.

    With `rotated`, each answer has a new value of this JSON field, which the next request to the
    same path sends: a refresh token that is used once. A connection waits `pause_ms` before each
    request.
    """

    requests: tuple[Request, ...]
    connections: int = 16
    rotated: str = ""
    pause_ms: int = 0


class Speed(NamedTuple):
    """What wrk measured: good answers per second, and two percentiles in milliseconds.

    `refused` is the share of answers that were errors.
    """

    per_second: float
    p50: float
    p99: float
    refused: float = 0.0


class RequestsRefused(RuntimeError):
    """Some requests failed, so that their speed says nothing."""


def parse(output: str, *, refusals: bool = False) -> Speed:
    """Return what wrk printed. Raise `RequestsRefused` if a request failed, or none was sent.

    With `refusals`, answers that are errors are counted and not raised.
    """
    found = RESULT.search(output)
    if found is None:
        raise RequestsRefused(f"wrk printed no result:\n{output[-2000:]}")
    result = json.loads(found[1])
    sent, refused = result["requests"], result["status"]
    failed = result["socket"] + (0 if refusals else refused)
    if failed or not sent:
        raise RequestsRefused(f"{failed} of {sent} requests failed")
    good = (sent - refused) / (result["microseconds"] / 1e6)
    return Speed(good, result["p50"] / 1000, result["p99"] / 1000, refused / sent)


def run(url: str, load: Load, seconds: float, core: int | None, *, refusals: bool = False) -> Speed:
    """Send the requests for some seconds. Raise `RequestsRefused` as `parse`."""
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
        file.writelines(lines(load.requests))
        file.flush()
        options = [
            "-t1",
            f"-c{load.connections}",
            f"-d{max(1, round(seconds))}s",
            "-s",
            str(SCRIPT),
        ]
        variables = {"BENCH_REQUESTS": file.name, "BENCH_PATH": load.requests[0].path}
        if load.rotated:
            variables["BENCH_ROTATED"] = load.rotated
        if load.pause_ms:
            variables["BENCH_PAUSE_MS"] = str(load.pause_ms)
        output = subprocess.run(  # noqa: S603 - wrk
            [*pinned(core), "wrk", *options, url],
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
    return parse(output, refusals=refusals)


def lines(requests: Iterable[Request]) -> Iterable[str]:
    """Return the lines of the file that the script reads."""
    return ("\t".join(request) + "\n" for request in requests)


def pinned(core: int | None) -> list[str]:
    """Return the words before a command that keep it on a core."""
    return [] if core is None else ["taskset", "--cpu-list", str(core)]


def require_tools() -> None:
    """End the program if a tool is missing."""
    missing = [tool for tool in ("wrk", "taskset") if not shutil.which(tool)]
    if missing:
        sys.exit(f"{' and '.join(missing)} not found: apt install wrk util-linux")
