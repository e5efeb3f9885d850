"""What the second run of `itemsapi serve` gets from the first one."""

import json
import os
import socket

import pytest

from itemsapi.cli.run_again import VARIABLE, received


def test_the_first_run_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It sets the service up."""
    monkeypatch.delenv(VARIABLE, raising=False)
    assert received() is None


def test_the_socket_is_received_once_and_closed_in_other_programs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither the variable nor the socket reaches what the service starts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        descriptor = os.dup(listener.fileno())
    os.set_inheritable(descriptor, True)
    monkeypatch.setenv(VARIABLE, json.dumps([os.getpid(), descriptor, True]))
    given = received()
    assert given is not None
    with given.listener:
        passed_on = os.get_inheritable(descriptor), VARIABLE in os.environ
    assert (passed_on, given.logs_json) == ((False, False), True)
