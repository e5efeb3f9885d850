"""A real Chromium, and a real service for it."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from support.app_factory import PASSWORD
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
    """Mark what is in this folder."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


def missing(what: str) -> None:
    """Skip what this machine lacks the means for; CI has to have them."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{what} is missing")


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """What drives the browser."""
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Chromium:
    """Debian's Chromium; a machine without one skips, CI does not."""
    if not Path(CHROMIUM).exists():
        missing(CHROMIUM)
    return Chromium(playwright)


@pytest.fixture(scope="session")
def started(chromium: Chromium) -> Iterator[Browser]:
    """A browser as it comes."""
    with chromium.launched() as browser:
        yield browser


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    """A web server of other origins with the pages of the tests."""
    folder = shutil.copytree(PAGES, tmp_path_factory.mktemp("elsewhere") / "pages")
    with PageServer(folder) as server:
        yield server
        server.shutdown()


@pytest.fixture(scope="session")
def running(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path, elsewhere: PageServer
) -> Iterator[Site]:
    """Two processes of the service, on one database."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(sqlite_template, folder / "itemsapi.db")
    sister, partner = (
        elsewhere.origin_for("app.house.localhost"),
        elsewhere.origin_for("partner.localhost"),
    )
    listed = {"allowed_origins": f"{sister},{partner}", "cross_site_origins": partner}
    with running_site(folder, listed) as site:
        yield site


@pytest.fixture(scope="session")
def node() -> None:
    """Node and npm; a machine without them skips, CI does not."""
    if not (shutil.which("node") and shutil.which("npm")):
        missing("Node with npm")


@pytest.fixture(scope="session")
def npm(node: None, tmp_path_factory: pytest.TempPathFactory) -> Npm:
    """What the lock file names, installed from npm."""
    return Npm(tmp_path_factory.mktemp("npm"))


@pytest.fixture
def site(running: Site) -> Site:
    """The service, with a whole wire that has counted nothing yet."""
    running.proxy.repair()
    running.proxy.clear()
    return running


@pytest.fixture
def new_window(started: Browser) -> Iterator[Callable[[], Window]]:
    """Open browsers with empty profiles; at the end nothing may have been complained about."""
    opened: list[Window] = []

    def make() -> Window:
        window = Window(started.new_context(), PageWatcher())
        window.watch.attach(window.context)
        opened.append(window)
        return window

    yield make
    for window in opened:
        window.context.close()
    assert [complaint for window in opened for complaint in window.watch.errors] == []


@pytest.fixture
def window(new_window: Callable[[], Window]) -> Window:
    """A browser with an empty profile."""
    return new_window()


@pytest.fixture
def enter(site: Site, window: Window) -> OpenConsole:
    """Open the console as a user with some roles, in a tab of its own."""

    def opened(*roles: str, name: str | None = None, password: str = PASSWORD) -> Page:
        page = window.context.new_page()
        page.goto(f"{site.url}/console")
        sign_in(page, name or site.create_user(*roles), password)
        return page

    return opened
