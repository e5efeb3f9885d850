"""Run the command of this process again in the same process, with an empty memory.

It gets a socket that is open already. Process id, terminal, environment and command line stay.
"""

import json
import os
import signal
import socket
import sys
from dataclasses import dataclass
from typing import NoReturn

VARIABLE = "_ITEMSAPI_SERVE"  # no setting: only this process reads it


@dataclass(frozen=True, slots=True)
class Given:
    """What the second run gets from the first."""

    listener: socket.socket
    logs_json: bool


def run_again(given: Given) -> NoReturn:
    """Replace this program by a new run of the same command line."""
    given.listener.set_inheritable(True)
    os.environ[VARIABLE] = json.dumps([os.getpid(), given.listener.fileno(), given.logs_json])
    sys.stdout.flush()
    # Until the supervisor handles it, Ctrl-C waits: the start of Python would show a traceback.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - as it was started


def received() -> Given | None:
    """Return what the first run of this process gives; None in the first run."""
    process, descriptor, logs_json = json.loads(os.environ.pop(VARIABLE, "[0, 0, false]"))
    if process != os.getpid():
        return None
    listener = socket.socket(fileno=descriptor)
    listener.set_inheritable(False)
    return Given(listener, logs_json)
