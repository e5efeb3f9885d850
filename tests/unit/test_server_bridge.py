"""The bridge between ASGI and WSGI: bodies, names and answers, in one process (S-004, S-110)."""

import asyncio
import gc
import io
import json
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import pytest

from itemsapi.problems import BadRequest, RequestTimeout
from itemsapi.rest.cors import Cors
from itemsapi.rest.middleware import Middleware
from itemsapi.rest.proxies import Proxies
from itemsapi.server import bodies, pool, responses
from itemsapi.server.bodies import BodyReceiver
from itemsapi.server.bridge import Bridge
from itemsapi.server.environ import build_environ, client_of_request, require_host
from itemsapi.server.responses import CHUNK_BYTES, PendingResponses
from support.asgi import ReceivedResponse, body_parts, build_scope, send_request

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

WITHIN = 20.0  # seconds, on a machine that does other things too
LONG = 3 * CHUNK_BYTES + 17


def bridge(app: Any) -> Bridge:
    """Put a bridge before an application, with the edge that words its refusals."""
    edge = Middleware(app, "http://api/problems", Proxies("http://api", 0), Cors(()), tls=False)
    return Bridge(edge, threads=1)


def echo(environ: "WSGIEnvironment", start: "StartResponse") -> list[bytes]:
    """Answer with the body that came."""
    body = environ["wsgi.input"].read()
    start("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def deaf(_: "WSGIEnvironment", start: "StartResponse") -> list[bytes]:
    """Answer without reading."""
    start("401 Unauthorized", [("Content-Length", "0")])
    return []


def raising(environ: "WSGIEnvironment", _: "StartResponse") -> list[bytes]:
    """Fail after having read what came."""
    environ["wsgi.input"].read(CHUNK_BYTES)
    raise LookupError


def sized(body: bytes) -> list[tuple[bytes, bytes]]:
    """Announce a body."""
    return [(b"host", b"api"), (b"content-length", str(len(body)).encode())]


CHUNKED = [(b"host", b"api"), (b"transfer-encoding", b"chunked")]


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, LONG])
def test_a_body_arrives_as_it_was_sent(size: int) -> None:
    """Whether it is there before the thread, or streams into it."""
    body = bytes(at % 251 for at in range(size))
    halves = body_parts(body[: size // 2], body[size // 2 :])
    assert send_request(bridge(echo), halves, method="POST", headers=sized(body)).body == body


def test_a_body_without_a_length_arrives_as_it_was_sent() -> None:
    """Chunks, more than are read ahead."""
    pieces = [bytes([at]) * 10_000 for at in range(20)]
    heard = send_request(bridge(echo), body_parts(*pieces), method="POST", headers=CHUNKED)
    assert heard.body == b"".join(pieces)


def code(heard: ReceivedResponse) -> tuple[int, str]:
    """Return the status and the code of a refusal."""
    return heard.status, json.loads(heard.body)["code"]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """No patience with bodies: these tests are about what happens, not when."""
    monkeypatch.setattr(BodyReceiver.__init__, "__defaults__", (0.05,))


@pytest.mark.usefixtures("hasty")
def test_a_small_body_that_stalls_is_refused_and_the_connection_closed() -> None:
    """S-110: 408 (RFC 9110 section 15.5.9)."""
    heard = send_request(bridge(echo), body_parts(b"{", ends="stalls"), headers=sized(b"{}"))
    assert code(heard) == (408, "request_timeout")
    assert heard.headers[b"connection"] == b"close"


@pytest.mark.usefixtures("hasty")
def test_a_long_body_that_stalls_is_refused_where_it_is_read() -> None:
    """S-110: by the same deadline, in the thread that waits."""
    stalled = body_parts(b"x" * CHUNK_BYTES, ends="stalls")
    heard = send_request(bridge(echo), stalled, headers=sized(b"x" * LONG))
    assert code(heard) == (408, "request_timeout")


class Connection:
    """A connection whose body stalls; no frame of it is on the way of what is raised."""

    def __init__(self, first: bytes) -> None:
        """Have the first part ready."""
        self._parts, self._heard = body_parts(first, ends="stalls"), ReceivedResponse()

    def receive(self) -> Awaitable[dict[str, Any]]:
        """Return the next part."""
        return self._parts()

    def send(self, message: dict[str, Any]) -> Awaitable[None]:
        """Take a part of the answer."""
        return self._heard.send(message)


async def served(application: Bridge, announced: int, connections: list[Connection]) -> None:
    """Have the connection's request answered, as granian does: this frame holds it until then."""
    connection = connections.pop()
    asked = build_scope(headers=sized(b"x" * announced))
    await application(asked, connection.receive, connection.send)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("announced", [2, LONG])
@pytest.mark.parametrize("app", [echo, raising])
def test_a_refused_request_lets_go_of_its_connection_at_once(app: Any, announced: int) -> None:
    """S-110: the server hangs up when nobody can ask for more, and garbage may lie for minutes."""
    connections = [Connection(b"x" * min(announced - 1, CHUNK_BYTES))]
    held = weakref.ref(connections[0])

    async def run() -> Connection | None:
        await asyncio.create_task(served(bridge(app), announced, connections))
        return held()

    gc.disable()
    try:
        assert asyncio.run(run()) is None
    finally:
        gc.enable()


@pytest.mark.usefixtures("hasty")
def test_a_long_body_may_take_a_second_more_for_each_64_kib(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S-110: an upload is no attack. A piece of it earns a minute here, which all machines keep."""
    monkeypatch.setattr(bodies, "BYTES_PER_EXTRA_SECOND", CHUNK_BYTES // 60)
    waiting = [b"x" * CHUNK_BYTES, b"x" * CHUNK_BYTES]

    async def receive() -> dict[str, Any]:
        if len(waiting) == 1:
            await asyncio.sleep(0.1)  # longer than a small body may take here
        body = waiting.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(waiting)}

    heard = send_request(bridge(echo), receive, headers=sized(b"x" * 2 * CHUNK_BYTES))
    assert (heard.status, len(heard.body)) == (200, 2 * CHUNK_BYTES)


@pytest.mark.parametrize("announced", [2, LONG])
def test_a_body_that_is_cut_off_reaches_nobody(announced: int) -> None:
    """A client that goes in the middle has not sent a shorter body."""
    gone = body_parts(b"{", ends="gone")
    assert code(send_request(bridge(echo), gone, headers=sized(b"x" * announced)))[0] == 400


def test_of_a_long_body_nothing_is_asked_for_unless_somebody_reads_it() -> None:
    """S-004: the gate's refusal comes first, and the connection is not kept for the rest."""
    asked = []

    async def receive() -> dict[str, Any]:
        asked.append(1)
        return {"type": "http.request", "body": b"x" * CHUNK_BYTES, "more_body": True}

    heard = send_request(bridge(deaf), receive, headers=sized(b"x" * 5_000_000))
    assert (heard.status, heard.headers[b"connection"], asked) == (401, b"close", [])


def test_of_a_body_without_a_length_little_is_read_ahead() -> None:
    """S-004: 64 KiB, and the part that went beyond."""
    asked = []

    async def receive() -> dict[str, Any]:
        asked.append(1)
        return {"type": "http.request", "body": b"x" * 1024, "more_body": True}

    send_request(bridge(deaf), receive, headers=CHUNKED)
    assert len(asked) == CHUNK_BYTES // 1024 + 1


@pytest.mark.usefixtures("hasty")
def test_a_thread_that_waits_for_a_long_body_holds_nobody() -> None:
    """S-110: with one thread in all, others are answered meanwhile."""
    application = bridge(echo)

    async def both() -> tuple[ReceivedResponse, ReceivedResponse]:
        slow, quick = ReceivedResponse(), ReceivedResponse()
        stalled = body_parts(b"x" * CHUNK_BYTES, ends="stalls")
        first = application(build_scope(headers=sized(b"x" * LONG)), stalled, slow.send)
        waiting = asyncio.create_task(first)
        await asyncio.sleep(0)
        await application(build_scope(headers=sized(b"hi")), body_parts(b"hi"), quick.send)
        assert not slow.messages
        await waiting
        return slow, quick

    slow, quick = asyncio.run(both())
    assert (slow.status, quick.status, quick.body) == (408, 200, b"hi")


@pytest.mark.usefixtures("hasty")
def test_more_long_bodies_than_there_are_places_for_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S-110: 503 for the newcomer who wants more than everybody may have."""
    monkeypatch.setattr(bodies.LargeBody, "slots", threading.BoundedSemaphore(1))
    application = bridge(echo)

    async def both() -> list[ReceivedResponse]:
        heard = [ReceivedResponse(), ReceivedResponse()]
        calls = [
            application(
                build_scope(headers=sized(b"x" * LONG)),
                body_parts(b"x" * CHUNK_BYTES, ends="stalls"),
                one.send,
            )
            for one in heard
        ]
        await asyncio.gather(*calls)
        return heard

    assert sorted(heard.status for heard in asyncio.run(both())) == [408, 503]
    body = b"x" * LONG
    assert (
        send_request(application, body_parts(body), headers=sized(body)).status == 200
    )  # places come back


def in_a_loop_of_its_own(job: Callable[[], Awaitable[None]]) -> bool:
    """Run something in a thread, whose event loop may stop for good; tell whether it did not."""

    async def run() -> None:
        await job()

    thread = threading.Thread(target=asyncio.run, args=(run(),), daemon=True)
    thread.start()
    thread.join(WITHIN)
    return not thread.is_alive()


def test_a_cancelled_exchange_stops_neither_the_loop_nor_the_thread_that_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S-110: the thread gives up at once, not at its deadline, and the place is free again."""
    monkeypatch.setattr(BodyReceiver.__init__, "__defaults__", (100 * WITHIN,))
    monkeypatch.setattr(bodies.LargeBody, "slots", threading.BoundedSemaphore(1))
    told: SimpleQueue[type[Exception]] = SimpleQueue()

    def app(environ: "WSGIEnvironment", start: "StartResponse") -> list[bytes]:
        try:
            return echo(environ, start)
        except Exception as error:
            told.put(type(error))
            raise

    async def cancelled() -> None:
        waits, source = asyncio.Event(), body_parts(b"x" * CHUNK_BYTES, ends="stalls")

        async def receive() -> dict[str, Any]:
            message = asyncio.ensure_future(source())
            await asyncio.sleep(0)
            if not message.done():
                waits.set()
            return await message

        call = bridge(app)(
            build_scope(headers=sized(b"x" * LONG)), receive, ReceivedResponse().send
        )
        exchange = asyncio.ensure_future(call)
        await waits.wait()
        exchange.cancel()
        await asyncio.wait([exchange])
        assert exchange.cancelled()
        error = await asyncio.to_thread(told.get, timeout=WITHIN)
        assert (error, bodies.LargeBody.slots.acquire(blocking=False)) == (RequestTimeout, True)
        ended.append(True)

    ended: list[bool] = []
    assert (in_a_loop_of_its_own(cancelled), ended) == (True, [True])


def test_a_body_that_is_closed_takes_no_place() -> None:
    """Or nobody would give it back: a thread may ask for more after an exchange was cancelled."""

    def aside() -> AbstractContextManager[None]:
        raise LookupError("it has a place, and waits for more")

    async def run() -> None:
        long = bodies.LargeBody(
            BodyReceiver(build_scope(headers=sized(b"x" * LONG)), body_parts()), aside
        )
        long.close()
        with pytest.raises(BadRequest):
            long.readinto(bytearray(1))

    asyncio.run(run())


HOSTS = [[], [(b"host", b"")], [(b"host", b"a"), (b"host", b"b")]]


@pytest.mark.parametrize("hosts", HOSTS)
def test_a_request_without_exactly_one_host_is_refused(hosts: list[tuple[bytes, bytes]]) -> None:
    """RFC 9112 section 3.2."""
    assert code(send_request(bridge(echo), body_parts(), headers=hosts)) == (400, "bad_request")


def test_http_1_0_needs_no_host() -> None:
    """It did not know the field; granian puts an empty one there."""
    require_host(build_scope(http_version="1", headers=[(b"host", b"")]))


def environ(*headers: tuple[bytes, bytes], **wish: Any) -> "WSGIEnvironment":
    """Return the WSGI environment of a request."""
    return build_environ(build_scope(headers=headers, **wish), io.BytesIO(), multiprocess=False)


def test_no_byte_of_a_cookie_is_lost() -> None:
    """S-116: as PEP 3333 has it, latin-1; lines are joined as cookies are."""
    raw = "a=é; b=1".encode()
    cookie = environ((b"cookie", raw), (b"cookie", b"c=2"))["HTTP_COOKIE"]
    assert cookie.encode("latin-1") == raw + b"; c=2"


def test_a_field_name_with_an_underscore_is_dropped() -> None:
    """WSGI could not tell it from the one with a hyphen (S-114)."""
    found = environ((b"x-forwarded-for", b"1.1.1.1"), (b"x_forwarded_for", b"2.2.2.2"))
    assert found["HTTP_X_FORWARDED_FOR"] == "1.1.1.1"


def test_fields_of_one_name_make_one_list() -> None:
    """RFC 9110 section 5.3."""
    assert environ((b"accept", b"a"), (b"accept", b"b"))["HTTP_ACCEPT"] == "a,b"


def test_a_path_keeps_its_bytes() -> None:
    """PEP 3333: percent-decoded, and latin-1."""
    assert environ(path=b"/caf%C3%A9%2F%FF")["PATH_INFO"] == "/cafÃ©/ÿ"


FORWARDED = [
    (0, b"198.51.100.1", "203.0.113.9"),
    (1, b"198.51.100.1", "198.51.100.1"),
    (1, b"6.6.6.6, 198.51.100.1", "198.51.100.1"),
    (2, b"6.6.6.6, 198.51.100.1, 10.0.0.1", "198.51.100.1"),
    (2, b"198.51.100.1", "203.0.113.9"),
]


@pytest.mark.parametrize(("hops", "said", "client"), FORWARDED)
def test_clients_take_turns_by_the_address_that_a_trusted_proxy_saw(
    hops: int, said: bytes, client: str
) -> None:
    """As the application counts them; what a client wrote itself does not count."""
    assert client_of_request(build_scope(headers=[(b"x-forwarded-for", said)]), hops) == client


@pytest.mark.parametrize("size", [CHUNK_BYTES, CHUNK_BYTES + 1, LONG])
def test_a_long_answer_goes_out_in_pieces(size: int) -> None:
    """Whole, in order, and no piece is larger than is kept no account of (S-111)."""

    def app(_: "WSGIEnvironment", start: "StartResponse") -> list[bytes]:
        start("200 OK", [])
        return [bytes(at % 251 for at in range(size))]

    heard = send_request(bridge(app), body_parts())
    assert heard.body == bytes(at % 251 for at in range(size))
    assert max(len(message["body"]) for message in heard.messages[1:]) <= CHUNK_BYTES


def test_a_streamed_answer_is_asked_for_as_it_is_taken() -> None:
    """A generator is not run to its end in memory, and is closed."""
    made, closed = [], []

    def stream() -> Iterator[bytes]:
        try:
            for at in range(10):
                made.append(at)
                yield bytes([at]) * CHUNK_BYTES
        finally:
            closed.append(True)

    def app(_: "WSGIEnvironment", start: "StartResponse") -> Iterator[bytes]:
        start("200 OK", [])
        return stream()

    heard = ReceivedResponse()
    ahead: list[int] = []

    async def send(message: dict[str, Any]) -> None:
        ahead.append(
            len(made) - sum(len(m.get("body", b"")) for m in heard.messages) // CHUNK_BYTES
        )
        await heard.send(message)

    asyncio.run(bridge(app)(build_scope(), body_parts(), send))
    assert heard.body == b"".join(bytes([at]) * CHUNK_BYTES for at in range(10))
    assert max(ahead) <= 3
    assert closed == [True]


def test_a_long_answer_that_is_taken_slowly_arrives_whole() -> None:
    """The end of a body that there is none of is not the client's farewell."""

    def app(_: "WSGIEnvironment", start: "StartResponse") -> list[bytes]:
        start("200 OK", [])
        return [b"x" * LONG]

    heard = ReceivedResponse()

    async def send(message: dict[str, Any]) -> None:
        for _ in range(10):
            await asyncio.sleep(0)
        await heard.send(message)

    asyncio.run(bridge(app)(build_scope(), body_parts(), send))
    assert heard.whole
    assert heard.body == b"x" * LONG


def test_an_answer_to_a_client_that_has_gone_is_not_made_to_its_end() -> None:
    """Granian drops without a word what nobody takes: a generator would run on."""
    made = []

    def app(_: "WSGIEnvironment", start: "StartResponse") -> Iterator[bytes]:
        start("200 OK", [])
        for at in range(100):
            made.append(at)
            yield b"x" * CHUNK_BYTES

    send_request(bridge(app), body_parts(b"", ends="leaves"))
    assert len(made) < 10


class Closing:
    """The body of an answer that says when it was closed."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        """Take what it gives."""
        self.parts, self.closed = parts, 0

    def __iter__(self) -> Iterator[bytes]:
        """Give the parts."""
        return self.parts

    def close(self) -> None:
        """Count."""
        self.closed += 1


def exits(after: int) -> Iterator[bytes]:
    """Give so many parts and leave, as a library's `sys.exit()` does."""
    yield from [b"x" * CHUNK_BYTES] * after
    raise SystemExit


CLOSED: dict[str, tuple[Iterator[bytes], str]] = {
    "short": (iter([b"x"]), "whole"),
    "long": (iter([b"x" * CHUNK_BYTES] * 9), "whole"),
    "left": (iter([b"x" * CHUNK_BYTES] * 9), "leaves"),
    "broken at once": (exits(0), "whole"),
    "broken in the middle": (exits(9), "whole"),
}


@pytest.mark.parametrize("how", CLOSED)
def test_an_answer_is_closed_once_however_it_ends(how: str) -> None:
    """PEP 3333: what the application keeps for it is let go of. An exit does not end the server."""
    given, ends = CLOSED[how]
    body = Closing(given)

    def app(_: "WSGIEnvironment", start: "StartResponse") -> Closing:
        start("200 OK", [])
        return body

    heard = send_request(bridge(app), body_parts(b"", ends=ends))
    assert (body.closed, heard.status) == (1, 500 if how == "broken at once" else 200)


FIELDS = [("X-A", "a\x01b"), ("X-A", "a\r\nB: c"), ("X A", "b"), ("", "b"), ("X-A", "\u20ac")]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("size", [1, LONG])
def test_an_answer_with_a_header_that_is_none_is_a_500_and_nothing_stays_counted(
    field: tuple[str, str], size: int
) -> None:
    """RFC 9110 section 5; what was held for the client would lock it out in the end."""
    body = Closing(iter([b"x" * size]))

    def app(_: "WSGIEnvironment", start: "StartResponse") -> Closing:
        start("200 OK", [field])
        return body

    application = bridge(app)
    heard = send_request(application, body_parts())
    assert code(heard) == (500, "internal_error")
    assert (body.closed, application.pending_bytes("203.0.113.9")) == (1, 0)


def test_what_is_held_for_a_client_is_let_go_of_when_it_has_gone() -> None:
    """S-111: nothing stays counted, however an answer ends."""

    def app(_: "WSGIEnvironment", start: "StartResponse") -> list[bytes]:
        start("200 OK", [])
        return [b"x" * LONG]

    application = bridge(app)

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - it says nothing more
        asyncio.run(application(build_scope(), body_parts(), send))
    assert application.pending_bytes("203.0.113.9") == 0


def test_an_answer_that_has_begun_waits_for_its_rest_as_long_as_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only who has been given nothing yet is turned away."""
    monkeypatch.setattr(pool, "THREAD_WAIT_SECONDS", 0.05)
    monkeypatch.setattr(pool, "SWEEP_INTERVAL_SECONDS", 0.01)
    leave = threading.Event()

    def app(environ: "WSGIEnvironment", start: "StartResponse") -> Iterator[bytes]:
        start("200 OK", [])
        if environ["PATH_INFO"] == "/slow":
            leave.wait(WITHIN)
        return iter([b"x" * CHUNK_BYTES] * 4)

    application = bridge(app)
    begun, stream = asyncio.Event(), ReceivedResponse()

    async def send(message: dict[str, Any]) -> None:
        if not stream.messages:
            begun.set()
            await asyncio.sleep(0.02)  # others come between the beginning and the rest
        await stream.send(message)

    async def run() -> None:
        first = asyncio.create_task(application(build_scope(path=b"/stream"), body_parts(), send))
        await begun.wait()
        elsewhere = build_scope(path=b"/slow", client=("198.51.100.7", "1"))
        second = asyncio.create_task(application(elsewhere, body_parts(), ReceivedResponse().send))
        await asyncio.sleep(0.2)  # longer than anybody else waits here
        leave.set()
        await asyncio.gather(first, second)

    asyncio.run(asyncio.wait_for(run(), WITHIN))
    assert (stream.whole, len(stream.body)) == (True, 4 * CHUNK_BYTES)


def test_what_an_application_writes_by_hand_comes_first() -> None:
    """PEP 3333: the callable that `start_response` returns."""

    def app(_: "WSGIEnvironment", start: "StartResponse") -> list[bytes]:
        start("200 OK", [])(b"first, ")
        return [b"second"]

    assert send_request(Bridge(app, threads=1), body_parts()).body == b"first, second"


@pytest.mark.parametrize("ends", ["whole", "leaves"])
def test_who_does_not_take_an_answer_waits_for_the_next_and_others_do_not(ends: str) -> None:
    """S-111: through the bridge, until the answer is taken, or is not wanted any more."""
    size = responses.MAX_CLIENT_BYTES + 1

    def app(environ: "WSGIEnvironment", start: "StartResponse") -> list[bytes]:
        start("200 OK", [])
        return [b"x" * size] if environ["PATH_INFO"] == "/large" else [b"x"]

    application = bridge(app)
    begun, go_on = asyncio.Event(), asyncio.Event()
    lazy, again, other = ReceivedResponse(), ReceivedResponse(), ReceivedResponse()

    async def slowly(message: dict[str, Any]) -> None:
        await lazy.send(message)
        begun.set()
        await go_on.wait()
        await asyncio.sleep(0)  # others are heard, among them who says farewell

    async def run() -> None:
        large = application(build_scope(path=b"/large"), body_parts(b"", ends=ends), slowly)
        first = asyncio.create_task(large)
        await begun.wait()
        second = asyncio.create_task(application(build_scope(), body_parts(), again.send))
        for _ in range(3):  # of its turns, it would have had one long since
            await application(build_scope(client=("198.51.100.7", "1")), body_parts(), other.send)
        assert (len(other.messages), again.messages) == (6, [])
        go_on.set()
        await asyncio.gather(first, second)

    asyncio.run(asyncio.wait_for(run(), WITHIN))
    assert (lazy.whole and len(lazy.body) == size, again.body) == (ends == "whole", b"x")


def test_who_waits_too_long_for_a_thread_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """503 and not silence; time after time, and looked for until nobody waits."""
    monkeypatch.setattr(pool, "THREAD_WAIT_SECONDS", 0.05)
    monkeypatch.setattr(pool, "SWEEP_INTERVAL_SECONDS", 0.01)
    leave = threading.Event()

    def app(environ: "WSGIEnvironment", start: "StartResponse") -> list[bytes]:
        if environ["PATH_INFO"] == "/slow":
            leave.wait(WITHIN)
        start("200 OK", [])
        return [b"x"]

    application = bridge(app)

    async def run() -> list[int]:
        statuses = []
        for _ in range(2):
            leave.clear()
            slow, late = ReceivedResponse(), ReceivedResponse()
            first = asyncio.create_task(
                application(build_scope(path=b"/slow"), body_parts(), slow.send)
            )
            await asyncio.sleep(0)
            second = asyncio.create_task(application(build_scope(), body_parts(), late.send))
            await asyncio.sleep(0.1)  # longer than anybody waits here
            leave.set()
            await asyncio.gather(first, second)
            statuses += [slow.status, late.status]
        return statuses

    assert asyncio.run(asyncio.wait_for(run(), WITHIN)) == [200, 503, 200, 503]


def full_of(client: str, size: int) -> PendingResponses:
    """Return answers on their way that are too much already."""
    outgoing = PendingResponses(max_client_bytes=CHUNK_BYTES)
    outgoing.reserve(client, size)
    return outgoing


def test_a_client_whose_answers_wait_to_be_taken_gets_no_other_meanwhile() -> None:
    """S-111: and others do."""
    outgoing = full_of("a", CHUNK_BYTES)
    assert (outgoing.has_room("a"), outgoing.has_room("b")) == (False, True)


def test_what_was_taken_makes_room() -> None:
    """Nothing stays counted."""
    outgoing = full_of("a", CHUNK_BYTES)
    outgoing.release("a", CHUNK_BYTES)
    assert outgoing.has_room("a")


def never(outgoing: PendingResponses, size: int) -> Callable[[], Any]:
    """Return a client that takes the first piece and no other."""
    taken = []

    async def send(_: dict[str, Any]) -> None:
        taken.append(1)
        if len(taken) > 1:
            await asyncio.Event().wait()

    return lambda: outgoing.send(send, b"x" * size)


def test_a_client_that_takes_nothing_is_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """S-111: and the kernel closes its connection."""
    monkeypatch.setattr(responses, "SEND_TIMEOUT_SECONDS", 0.05)
    outgoing = full_of("lazy", LONG)
    with pytest.raises(TimeoutError):
        asyncio.run(never(outgoing, LONG)())


def test_a_client_that_reads_slowly_gets_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """S-111: the deadline is for taking something, not for taking all.

    The loop's clock is moved, so that it does not matter how long this machine stands still.
    """
    monkeypatch.setattr(responses, "SEND_TIMEOUT_SECONDS", 1000.0)
    outgoing, heard, ahead = full_of("slow", LONG), ReceivedResponse(), [0.0]

    async def send(message: dict[str, Any]) -> None:
        ahead[0] += 900.0
        await asyncio.sleep(0)
        await heard.send(message)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        real = loop.time
        monkeypatch.setattr(loop, "time", lambda: real() + ahead[0])
        await outgoing.send(send, b"x" * LONG)

    asyncio.run(run())
    assert ahead[0] > 2 * responses.SEND_TIMEOUT_SECONDS
    assert sum(len(message["body"]) for message in heard.messages) == LONG


def test_where_all_is_too_much_the_answer_that_moved_least_gives_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S-111: not those who read, and not those who come."""
    monkeypatch.setattr(responses, "STALLED_AFTER_SECONDS", 0.0)
    outgoing = PendingResponses(max_total_bytes=LONG)

    async def run() -> tuple[Any, Any]:
        outgoing.reserve("lazy", LONG)
        lazy = asyncio.create_task(never(outgoing, LONG)())
        await asyncio.sleep(0)
        outgoing.reserve("eager", LONG)
        eager = outgoing.send(ReceivedResponse().send, b"x" * LONG)
        return await asyncio.gather(lazy, eager, return_exceptions=True)

    lazy, eager = asyncio.run(asyncio.wait_for(run(), WITHIN))
    assert isinstance(lazy, TimeoutError)
    assert eager is None
