"""The socket that all workers share, and the log records of the server (S-111, R-31)."""

import logging
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from itemsapi.observability.logging import write_log_lines
from itemsapi.server.listening import CannotListen, listen
from itemsapi.server.supervisor import GranianLogHandler


@pytest.fixture
def used_port() -> Iterator[int]:
    """A port that another socket listens on."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield int(other.getsockname()[1])


ANY = 0  # a port that is free, of the system's choice


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "::1", "::"])  # noqa: S104 - on purpose
def test_a_host_is_an_address_or_a_name(host: str) -> None:
    """A client can connect to it."""
    target = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - as above
    with listen(host, ANY) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection((target, port), 5) as connection:
            assert connection.getpeername()[1] == port


def test_ipv4_is_used_when_a_name_has_two_addresses() -> None:
    """`localhost` is ::1 as well; a client that uses 127.0.0.1 must succeed."""
    with listen("localhost", ANY) as listener:
        assert listener.family == socket.AF_INET


def test_listening_fails_with_one_line_when_the_port_is_in_use(used_port: int) -> None:
    """It says what to do; the port is not shared with the other socket."""
    line = rf"^cannot listen on 127.0.0.1:{used_port}: [^\n]+ or name another --port$"
    with pytest.raises(CannotListen, match=line):
        listen("127.0.0.1", used_port)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "256.1.1.1", "a" * 300, "203.0.113.1"])
def test_listening_fails_with_one_line_when_the_host_is_not_local(host: str) -> None:
    """There is no traceback, whatever the name."""
    with pytest.raises(CannotListen, match=r"^cannot listen on [^\n]+$"):
        listen(host, ANY)


@pytest.mark.skipif(sys.platform != "linux", reason="the option is Linux's")
def test_connections_inherit_the_send_timeout() -> None:
    """S-111: the kernel closes a connection whose client reads nothing for 30 s."""
    with (
        listen("127.0.0.1", ANY) as listener,
        socket.create_connection(listener.getsockname(), 5),
    ):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000


LIMIT = "from itemsapi.server.listening import raise_file_limit as f; import resource as r;"
LIMIT += "r.setrlimit(r.RLIMIT_NOFILE, ({soft}, {hard})); print(f(), r.getrlimit(7)[0])"


@pytest.mark.parametrize(
    ("soft", "hard", "output"),
    [(256, 8192, "4096 4224"), (256, 1024, "896 1024"), (128, 128, "64 128")],
)
def test_the_number_of_connections_follows_the_limit_of_open_files(
    soft: int, hard: int, output: str
) -> None:
    """The soft limit is raised as far as possible; a failing accept would loop."""
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] >= hard
    code = LIMIT.format(soft=soft, hard=hard)
    result = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == output


@pytest.mark.parametrize(
    ("message", "lines"), [("Unexpected exit from worker-1", 0), ("accept failed", 1)]
)
def test_a_record_of_granian_is_logged_unless_it_reports_a_death(
    message: str, lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """R-31: one line each; the supervisor logs the deaths."""
    write_log_lines(as_json=True)
    GranianLogHandler().emit(
        logging.LogRecord("_granian", logging.ERROR, "", 0, message, None, None)
    )
    assert len(capsys.readouterr().err.splitlines()) == lines
