"""Fixtures for tests with a real Chromium and a real service."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from itemsapi.testing import PASSWORD
from support.browser import (
    PAGES,
    OpenConsole,
    PageServer,
    PageWatcher,
    Site,
    Window,
    running_site,
    sign_in,
)
from support.chromium import CHROMIUM, Chromium
from support.npm_packages import Npm


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests in this folder."""
    folder_of_tests = Path(__file__).parent
    for item in items:
        if folder_of_tests in item.path.parents:
            item.add_marker(pytest.mark.browser)


def skip_without(what: str) -> None:
    """Skip a test that needs something this machine lacks; CI must have it."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{what} is missing")


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """The Playwright driver."""
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Chromium:
    """Debian's Chromium; without it tests are skipped, except in CI."""
    if not Path(CHROMIUM).exists():
        skip_without(CHROMIUM)
    return Chromium(playwright)


@pytest.fixture(scope="session")
def browser(chromium: Chromium) -> Iterator[Browser]:
    """A browser with default options."""
    with chromium.launched() as launched:
        yield launched


@pytest.fixture(scope="session")
def page_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    """A web server with the test pages, for other origins."""
    folder = shutil.copytree(PAGES, tmp_path_factory.mktemp("elsewhere") / "pages")
    with PageServer(folder) as server:
        yield server
        server.shutdown()


@pytest.fixture(scope="session")
def shared_site(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path, page_server: PageServer
) -> Iterator[Site]:
    """Two processes of the service on one database, shared by all tests."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(sqlite_template, folder / "itemsapi.db")
    same_site_origin, cross_site_origin, half_listed_origin = (
        page_server.origin_for(host)
        for host in ("app.house.localhost", "partner.localhost", "half.localhost")
    )
    origin_settings = {
        "allowed_origins": f"{same_site_origin},{cross_site_origin},{half_listed_origin}",
        "cross_site_origins": cross_site_origin,
    }
    with running_site(folder, origin_settings) as site:
        yield site


@pytest.fixture(scope="session")
def node() -> None:
    """Require Node and npm; without them tests are skipped, except in CI."""
    if not (shutil.which("node") and shutil.which("npm")):
        skip_without("Node with npm")


@pytest.fixture(scope="session")
def npm(node: None, tmp_path_factory: pytest.TempPathFactory) -> Npm:
    """The packages of the lock file, installed from npm."""
    return Npm(tmp_path_factory.mktemp("npm"))


@pytest.fixture
def site(shared_site: Site) -> Site:
    """The service, without faults and without recorded requests."""
    shared_site.proxy.repair()
    shared_site.proxy.clear()
    return shared_site


@pytest.fixture
def new_window(browser: Browser) -> Iterator[Callable[..., Window]]:
    """Open browsers with empty profiles; at the end no page may have reported an error.

    `make` takes the options of Playwright's `new_context`, such as `locale`.
    """
    opened: list[Window] = []

    def make(**options: Any) -> Window:
        window = Window(browser.new_context(**options), PageWatcher())
        window.watch.attach(window.context)
        opened.append(window)
        return window

    yield make
    for window in opened:
        window.context.close()
    assert [complaint for window in opened for complaint in window.watch.errors] == []


@pytest.fixture
def window(new_window: Callable[..., Window]) -> Window:
    """A browser with an empty profile."""
    return new_window()


@pytest.fixture
def open_console(site: Site, window: Window) -> OpenConsole:
    """Open the console in a new tab, signed in as a user with some roles."""

    def opened(*roles: str, name: str | None = None, password: str = PASSWORD) -> Page:
        page = window.context.new_page()
        page.goto(f"{site.url}/console")
        sign_in(page, name or site.create_user(*roles), password)
        return page

    return opened
