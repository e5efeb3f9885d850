"""Helpers for browser tests: a running service, tabs, and a watcher for page errors."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partialmethod
from http.client import HTTPConnection, HTTPException
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, expect

from itemsapi import create_app
from itemsapi.services import EXTENSION
from itemsapi.settings import ENV_PREFIX, Settings
from itemsapi.testing import PASSWORD, MovableClock
from support.app_factory import Backend
from support.free_port import free_port
from support.network import NetworkProxy

PAGES = Path(__file__).parents[1] / "browser" / "pages"
API = "api.house.localhost"  # same site as app.house.localhost; evil.localhost is another site
SETTLE_TIMEOUT_MS = 2000.0  # within which a page must have settled (requirement)
PAGE_TIMEOUT_MS = 10_000.0
OpenConsole = Callable[..., Page]


class SharedClock(MovableClock):
    """A clock that a test moves for all processes of a service, through a file."""

    def __init__(self, path: Path) -> None:
        """Start at the present."""
        super().__init__()
        self.path, self.shift = path, timedelta(0)
        self.advance(seconds=0)

    def __call__(self) -> datetime:
        """Return the present plus the shift."""
        return datetime.now(UTC) + self.shift

    def advance(self, **delta: float) -> None:
        """Move the clock of all processes."""
        self.shift += timedelta(**delta)
        draft = self.path.with_suffix(".new")
        draft.write_text(str(self.shift.total_seconds()), "ascii")
        draft.replace(self.path)


@dataclass
class Site:
    """A running service: its processes behind a proxy, and the backend for creating users."""

    backend: Backend
    proxy: NetworkProxy
    clock: SharedClock
    url: str
    folder: Path
    ids: dict[str, str] = field(default_factory=dict)

    def create_user(self, *roles: str) -> str:
        """Create a user and return the name; `ids` has the id."""
        name = f"user{len(self.ids) + 1}"
        self.ids[name] = self.backend.create_user(name, *roles)
        return name


@dataclass
class Tab:
    """One browser tab."""

    page: Page

    def evaluate(self, script: str, argument: object = None) -> Any:
        """Run a JavaScript function in the page."""
        return self.page.evaluate(script, argument)

    def login(self, name: str, password: str = PASSWORD) -> str | None:
        """Sign in; return the problem code if the sign-in fails."""
        script = "([name, password]) => spa.login(name, password)"
        code: str | None = self.evaluate(script, [name, password])
        return code

    def change_password(self, new: str, current: str = PASSWORD) -> str | None:
        """Change the user's password; return the problem code if that fails."""
        script = "([current, password]) => spa.changePassword(current, password)"
        code: str | None = self.evaluate(script, [current, new])
        return code

    def expect_texts(self, *, within: float = PAGE_TIMEOUT_MS, **texts: str) -> None:
        """Wait until the elements with these ids show these texts."""
        for element_id, text in texts.items():
            expect(self.page.locator(f"#{element_id}")).to_have_text(text, timeout=within)

    def read_text(self, element_id: str) -> str:
        """Return the text of the element with this id."""
        return self.page.locator(f"#{element_id}").inner_text()


@dataclass
class PageWatcher:
    """Collects errors, failed requests and contacted hosts of all tabs of a window."""

    errors: list[str] = field(default_factory=list)
    failed_requests: list[str] = field(
        default_factory=list
    )  # Chromium logs every 4xx; some are expected
    hosts: set[str] = field(default_factory=set)

    def attach(self, context: BrowserContext) -> None:
        """Listen to all events of a browser context."""
        context.add_init_script(
            "addEventListener('securitypolicyviolation', ({violatedDirective, blockedURI}) =>"
            " console.error('CSP', violatedDirective, blockedURI))"
        )
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self.errors.append(str(error.error)))
        context.on("request", self._on_request)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        network = message.text.startswith("Failed to load resource")
        (self.failed_requests if network else self.errors).append(message.text)

    def _on_request(self, request: Request) -> None:
        if request.url.startswith("http"):
            self.hosts.add(request.url.split("/")[2])


@dataclass
class Window:
    """A browser context: tabs that share cookies, locks and broadcast channels."""

    context: BrowserContext
    watch: PageWatcher

    def open(self, address: str) -> Tab:
        """Open a tab."""
        page = self.context.new_page()
        page.goto(address)
        return Tab(page)

    def spa(self, site: Site, **query: str) -> Tab:
        """Open a tab with the test page of the service's own origin; wait until it is loaded."""
        words = "&".join(f"{name}={value}" for name, value in query.items())
        tab = self.open(f"{site.url}/test/spa.html?{words}")
        expect(tab.page.locator("#status")).not_to_have_text("loading")
        return tab


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """Fill in the console's sign-in form and press Enter."""
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.keyboard.press("Enter")
    expect(
        page.get_by_role("button", name="Sign out").or_(page.get_by_role("alert"))
    ).to_be_visible()


def print_figure(figure: str) -> None:
    """Print a figure; `pytest -s` shows it."""
    sys.stdout.write(f"\n{figure}\n")


def wait_until(condition: Callable[[], object], *, seconds: float = 10.0) -> None:
    """Wait until a condition that another process fulfils is true."""
    deadline, pause = monotonic() + seconds, threading.Event()
    while not condition():
        assert monotonic() < deadline, "timed out"
        pause.wait(0.02)


@contextmanager
def busy_machine(processes: int = 2) -> Iterator[None]:
    """Keep the CPU busy during the block, so that concurrent events happen in another order."""
    command = [sys.executable, "-c", "while True: pass"]
    busy_processes = [subprocess.Popen(command) for _ in range(processes)]  # noqa: S603 - our own
    try:
        yield
    finally:
        for process in busy_processes:
            process.kill()
            process.wait(20)


def is_serving(port: int) -> bool:
    """Return whether the service responds on a port."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    with closing(connection), suppress(OSError, HTTPException):
        connection.request("GET", "/health/live")
        return connection.getresponse().status == 200
    return False


@contextmanager
def running_site(
    folder: Path, settings: dict[str, str], *, workers: int = 2, path: str = ""
) -> Iterator[Site]:
    """Run a service with worker processes behind a proxy, on an empty database in `folder`."""
    wire, clock, port = NetworkProxy(), SharedClock(folder / "shift"), free_port()
    url = f"http://{API}:{wire.port}{path}"
    wire.upstream = port
    site_settings = {"data_dir": str(folder), "public_url": url, "rate_limit": "off"} | settings
    environment = {ENV_PREFIX + name.upper(): value for name, value in site_settings.items()}
    backend = _make_backend(environment, clock)
    command = _granian_command(port, workers)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own service
            command, env=_process_environment(environment, clock), stdout=log, stderr=log
        )
        try:
            wait_until(lambda: is_serving(port), seconds=30)
            yield Site(backend, wire, clock, url, folder)
        finally:
            process.terminate()
            process.wait(20)
            wire.close()
            backend.services.database.dispose()


def _make_backend(environment: dict[str, str], clock: SharedClock) -> Backend:
    app = create_app(Settings.from_environment(environment), clock=clock)
    return Backend(app, app.extensions[EXTENSION], clock)


def _granian_command(port: int, workers: int) -> list[str]:
    options = f"--interface wsgi --workers {workers} --blocking-threads 8 --port {port}"
    return [sys.executable, "-m", "granian", *options.split(), "served:application"]


def _process_environment(environment: dict[str, str], clock: SharedClock) -> dict[str, str]:
    python_path = [str(PAGES.parent), *sys.path]
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)
    }
    test_variables = {
        "PYTHONPATH": os.pathsep.join(python_path),
        "ITEMSAPI_TEST_SHIFT": str(clock.path),
    }
    return inherited | environment | test_variables


class PageServer(ThreadingHTTPServer):
    """A web server for pages of other origins: one port, any host name."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        """Serve the files of a folder; `policies` maps paths to a Content-Security-Policy."""
        self.folder = folder
        self.policies: dict[str, str] = {}
        super().__init__(("127.0.0.1", 0), _File)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def origin_for(self, host: str) -> str:
        """Return the origin of this server under a host name."""
        return f"http://{host}:{self.server_port}"


class _File(SimpleHTTPRequestHandler):
    server: PageServer
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".js": "text/javascript"}

    def translate_path(self, path: str) -> str:
        self.directory = str(self.server.folder)
        return super().translate_path(path)

    def end_headers(self) -> None:
        policy = self.server.policies.get(self.path.rpartition("/")[0])
        if policy:
            self.send_header("Content-Security-Policy", policy)
        super().end_headers()

    log_message = partialmethod(lambda *_: None)
