"""Measure the throughput of the server, and what stalled clients cost the others.

 python benchmarks/server.py             both parts, about two minutes
    python benchmarks/server.py --speed     requests per second against granian's WSGI mode
    python benchmarks/server.py --stalled   sign-ins while clients stall or read nothing

S-110, S-111. Only ratios within one run are comparable between machines. `--speed` needs `wrk`.
"""

import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path

ROUNDS, SECONDS = 7, 3  # of each measurement; medians are printed
THREADS = (2, 4, 8)
FIRST_ERROR_STATUS = 400  # the first error status
ITEM = {"name": "Lamp", "description": "Made of brass.", "price": "12.50", "currency": "EUR"}
PASSWORD = "plain horse battery staple"
CASES = {
    "one item": ("GET", "/items/{id}"),
    "50 items": ("GET", "/items?limit=50"),
    "new item": ("POST", "/items"),
}
LUA = """wrk.method = "POST"
wrk.body = '%s'
wrk.headers["Content-Type"] = "application/json"
"""


class Service:
    """A running service and a signed-in admin."""

    def __init__(self, port: int) -> None:
        """Sign in, and create an item."""
        self.port = port
        self.token = self.send("POST", "/auth/login", {"username": "ada", "password": PASSWORD})[
            "access_token"
        ]
        self.item = self.send("POST", "/items", ITEM)["id"]

    def send(self, method: str, path: str, body: object = None, source: str = "127.0.0.1") -> dict:
        """Send a request; return the response body. Raise `RuntimeError` for an error."""
        headers = {"Content-Type": "application/json"}
        if hasattr(self, "token"):
            headers["Authorization"] = f"Bearer {self.token}"
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60, source_address=(source, 0))
        connection.request(method, path, json.dumps(body) if body else None, headers)
        response = connection.getresponse()
        raw = response.read()
        connection.close()
        if not response.status < FIRST_ERROR_STATUS:
            raise RuntimeError(raw.decode())
        return json.loads(raw)

    def sign_in(self) -> float:
        """Sign in from another address; return the seconds it took."""
        started = time.perf_counter()
        self.send("POST", "/auth/login", {"username": "ada", "password": PASSWORD}, "127.0.0.2")
        return time.perf_counter() - started

    def read_item(self) -> float:
        """Read an item; return the seconds it took."""
        started = time.perf_counter()
        self.send("GET", f"/items/{self.item}")
        return time.perf_counter() - started

    def requests_per_second(self, case: str) -> float:
        """Return the requests per second for a case."""
        method, path = CASES[case]
        command = [
            "wrk",
            "-t1",
            "-c8",
            f"-d{SECONDS}s",
            "-H",
            f"Authorization: Bearer {self.token}",
        ]
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            if method == "POST":
                script.write(LUA % json.dumps(ITEM))
                script.flush()
                command += ["-s", script.name]
            url = f"http://127.0.0.1:{self.port}{path.format(id=self.item)}"
            output = subprocess.run(  # noqa: S603 - wrk
                [*command, url], capture_output=True, text=True, check=True
            ).stdout
        if "Non-2xx" in output:
            raise RuntimeError(output)
        return float(re.findall(r"Requests/sec: +([\d.]+)", output)[0])


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(folder: Path, *command: str) -> Iterator[Service]:
    """Run a service on the data of a folder; PORT in the command is replaced by its port."""
    port = free_port()
    arguments = [word.replace("PORT", str(port)) for word in command]
    environment = os.environ | {
        "ITEMSAPI_DATA_DIR": str(folder),
        "ITEMSAPI_RATE_LIMIT": "off",
        "ITEMSAPI_SESSION_LIMIT": "100000",
    }
    with subprocess.Popen(  # noqa: S603 - ours
        [sys.executable, "-m", *arguments], env=environment, stdout=subprocess.DEVNULL
    ) as process:
        try:
            yield _ready(port)
        finally:
            process.terminate()


def _ready(port: int) -> Service:
    ends = time.monotonic() + 60
    while True:
        try:
            return Service(port)
        except OSError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.1)


def prepare(folder: Path) -> None:
    """Create the tables and the admin."""
    environment = os.environ | {"ITEMSAPI_DATA_DIR": str(folder)}
    itemsapi = [sys.executable, "-m", "itemsapi"]
    add = [*itemsapi, "users", "add", "ada", "--role", "admin", "--password-stdin"]
    subprocess.run([*itemsapi, "db", "upgrade"], env=environment, check=True)  # noqa: S603 - ours
    subprocess.run(  # noqa: S603 - ours
        add, env=environment, check=True, input=PASSWORD, text=True, stdout=subprocess.DEVNULL
    )


def serve_command(threads: int) -> list[str]:
    """Return the command that runs our own server."""
    return ["itemsapi", "serve", "--port", "PORT", "--threads", str(threads)]


def measure_speed(folder: Path) -> None:
    """Compare our server with granian's WSGI mode with eight threads."""
    if not shutil.which("wrk"):
        sys.exit("the speed is measured by wrk, which is not installed: apt install wrk")
    wsgi = ["granian", "--interface", "wsgi", "--port", "PORT", "--blocking-threads", "8"]
    wsgi += ["--log-level", "error", "itemsapi.wsgi:application"]
    with ExitStack() as stack:
        services = {"WSGI, 8 threads": stack.enter_context(running(folder, *wsgi))}
        for threads in THREADS:
            name = f"ours, {threads} threads"
            services[name] = stack.enter_context(running(folder, *serve_command(threads)))
        first = next(iter(services.values()))
        for _ in range(60):
            first.send("POST", "/items", ITEM)
        print(f"{'requests a second':20}" + "".join(f"{name:>18}" for name in services))
        for case in CASES:
            found: dict[str, list[float]] = {name: [] for name in services}
            for _ in range(ROUNDS):
                for name, service in services.items():
                    found[name].append(service.requests_per_second(case))
            medians = {name: statistics.median(each) for name, each in found.items()}
            base = medians["WSGI, 8 threads"]
            print(f"{case:20}" + "".join(f"{m:11,.0f} {m / base:5.2f}x" for m in medians.values()))


def stalled_request(place: str, body: str) -> bytes:
    """Return the beginning of a request whose body stalls."""
    return f"POST {place} HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\n{body}".encode()


def quantiles(measure: Callable[[], float], times: int) -> tuple[float, float]:
    """Return the median and the 99th percentile in milliseconds."""
    found = sorted(measure() for _ in range(times))
    return statistics.median(found) * 1000, found[int(len(found) * 0.99)] * 1000


def measure_stalled(folder: Path) -> None:
    """Measure sign-ins and reads while other clients stall or do not read."""
    headers = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nX-Slow: "
    kinds = {"bodies": stalled_request("/auth/login", "{"), "headers": headers}
    with running(folder, *serve_command(4)) as service:
        print(f"\n{'other clients':28}{'sign-in ms (p50, p99)':>26}{'read ms (p50, p99)':>26}")
        unloaded = _line("none", service, None)
        for kind, sent in kinds.items():
            for count, addresses in ((4, 2), (60, 1), (400, 100), (1500, 100)):
                with ExitStack() as connections:
                    for at in range(count):
                        source = (f"127.0.2.{at % addresses + 1}", 0)
                        there = ("127.0.0.1", service.port)
                        connection = socket.create_connection(there, source_address=source)
                        connections.enter_context(connection).sendall(sent)
                    _line(f"{count} {kind}, {addresses} addresses", service, unloaded)
        large_item = ITEM | {"description": "\N{BANANA}" * 10_000}
        for _ in range(30):
            service.send("POST", "/items", large_item)
        page = f"GET /items?limit=200 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service.token}"
        with ExitStack() as connections:
            for _ in range(200):
                connection = connections.enter_context(socket.socket())
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.bind(("127.0.3.1", 0))
                connection.connect(("127.0.0.1", service.port))
                connection.sendall(f"{page}\r\n\r\n".encode())
            _line("200 that never read", service, unloaded)


def _line(name: str, service: Service, unloaded: tuple[float, float] | None) -> tuple[float, float]:
    p50, p99 = quantiles(service.sign_in, 40)
    read50, read99 = quantiles(service.read_item, 300)
    ratio = f" {p50 / unloaded[0]:5.2f}x" if unloaded else "       "
    ratio_read = f" {read99 / unloaded[1]:5.2f}x" if unloaded else ""
    print(f"{name:28}{p50:10.1f} {p99:8.1f}{ratio}{read50:10.1f} {read99:8.1f}{ratio_read}")
    return p50, read99


def main() -> None:
    """Run the selected measurements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--stalled", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        if options.speed or not options.stalled:
            measure_speed(folder)
        if options.stalled or not options.speed:
            measure_stalled(folder)


if __name__ == "__main__":
    main()
