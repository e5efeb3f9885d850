"""The socket that all workers share, and what stands in the log about them (S-111, R-31)."""

import logging
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from itemsapi.observability.logging import set_log_level
from itemsapi.server.listening import CannotListen, listen
from itemsapi.server.supervisor import GranianLogHandler


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield int(other.getsockname()[1])


ANY = 0  # a port that is free, of the system's choice


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "::1", "::"])  # noqa: S104 - on purpose
def test_a_host_is_an_address_or_a_name(host: str) -> None:
    """Whoever connects to it is met."""
    target = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - as above
    with listen(host, ANY) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection((target, port), 5) as line:
            assert line.getpeername()[1] == port


def test_a_name_with_two_addresses_means_the_older_one() -> None:
    """`localhost` is ::1 as well; what is told to use 127.0.0.1 must find somebody."""
    with listen("localhost", ANY) as listener:
        assert listener.family == socket.AF_INET


def test_a_port_that_is_taken_is_refused_in_one_line(taken: int) -> None:
    """And not shared with who has it."""
    with pytest.raises(CannotListen, match=f"^cannot listen on 127.0.0.1:{taken}: [^\n]+$"):
        listen("127.0.0.1", taken)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "256.1.1.1", "a" * 300, "203.0.113.1"])
def test_a_host_that_is_none_of_ours_is_refused_in_one_line(host: str) -> None:
    """No traceback, whatever the name."""
    with pytest.raises(CannotListen, match=r"^cannot listen on [^\n]+$"):
        listen(host, ANY)


@pytest.mark.skipif(sys.platform != "linux", reason="the option is Linux's")
def test_connections_inherit_the_deadline_for_taking_what_was_sent() -> None:
    """S-111: the kernel closes a connection of which nothing is taken for 30 s."""
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
    ("soft", "hard", "said"),
    [(256, 8192, "4096 4224"), (256, 1024, "896 1024"), (128, 128, "64 128")],
)
def test_as_many_connections_are_kept_as_files_may_be_open(soft: int, hard: int, said: str) -> None:
    """The soft limit is raised as far as it goes; an accept that fails would spin."""
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] >= hard
    code = LIMIT.format(soft=soft, hard=hard)
    run = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == said


@pytest.mark.parametrize(
    ("words", "lines"), [("Unexpected exit from worker-1", 0), ("accept failed", 1)]
)
def test_what_granian_says_is_a_line_of_our_log_but_for_deaths_that_we_tell_of(
    words: str, lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """R-31: one line each."""
    set_log_level()
    GranianLogHandler().emit(logging.LogRecord("_granian", logging.ERROR, "", 0, words, None, None))
    assert len(capsys.readouterr().err.splitlines()) == lines
