"""The client of `itemsapi verify` trusts no response, and knows one host only."""

import pytest

from itemsapi.verify.failures import CannotVerify
from itemsapi.verify.wire import NoResponse, Request, Wire
from support.hostile_server import hostile_server, http_answer

GET = Request("GET", "/")


def test_redirect_is_not_followed_when_the_service_sends_one() -> None:
    """Only one request is sent: the other host would see what was meant for this one."""
    with hostile_server(http_answer(b"", "302 Found", "Location: http://192.0.2.1/")) as server:
        response = Wire(server.url).send(GET)
    assert response.status == 302
    assert len(server.received) == 1


def test_answer_is_cut_off_when_it_is_too_large() -> None:
    """A service cannot fill the memory."""
    with (
        hostile_server(http_answer(b"x" * 2000)) as server,
        pytest.raises(NoResponse, match="1000"),
    ):
        Wire(server.url).send(GET, limit=1000)


def test_answer_is_cut_off_when_its_bytes_come_too_slowly() -> None:
    """Each byte comes in time for the socket, but the whole response never ends."""
    slow = hostile_server(http_answer(b"x" * 10_000), pause_seconds=0.05)
    with slow as server, pytest.raises(NoResponse, match="too long"):
        Wire(server.url, timeout_seconds=0.3).send(GET)


def test_run_ends_when_the_service_is_silent_again_and_again() -> None:
    """Otherwise every operation would wait for every attack."""
    with hostile_server(b"") as server:
        wire = Wire(server.url)
        for _ in range(2):
            with pytest.raises(NoResponse):
                wire.send(GET)
        with pytest.raises(CannotVerify, match="does not respond"):
            wire.send(GET)


def test_path_is_sent_as_it_is_written() -> None:
    """A client that tidies paths up would not send the spellings that attack."""
    with hostile_server(http_answer(b"")) as server:
        Wire(server.url).send(Request("GET", "//a/../b/./%2e;c"))
    assert server.received[0].startswith(b"GET //a/../b/./%2e;c HTTP/1.1\r\n")


@pytest.mark.parametrize("url", ["items", "ftp://host/x", "http://", "http://host:99999/"])
def test_address_is_refused_when_it_is_no_http_address(url: str) -> None:
    """The message says how one looks, or what is wrong with it."""
    with pytest.raises(CannotVerify, match=r"address|port"):
        Wire(url)


def test_address_is_refused_when_it_contains_a_password() -> None:
    """It would stand in every report."""
    with pytest.raises(CannotVerify, match="--login"):
        Wire("http://ada:secret@host/openapi.json")
