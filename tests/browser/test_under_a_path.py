"""Console, explorer and documentation under a path, in Chromium, behind both kinds of proxy."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from itemsapi.endpoints.token_response import COOKIE_NAME
from itemsapi.testing import PASSWORD
from support.browser import Site, Window, running_site
from support.chromium import Chromium

PATH = "/api"


@pytest.fixture(scope="module")
def site_under_path(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path, chromium: Chromium
) -> Iterator[Site]:
    """The service under a path."""
    folder = tmp_path_factory.mktemp("below")
    shutil.copy(sqlite_template, folder / "itemsapi.db")
    with running_site(folder, {}, workers=1, path=PATH) as site:
        yield site


@pytest.fixture(params=["", PATH], ids=["left on", "taken off"])
def site(site_under_path: Site, request: pytest.FixtureRequest) -> Site:
    """The service behind each kind of proxy."""
    site_under_path.proxy.stripped_prefix = request.param
    site_under_path.proxy.clear()
    return site_under_path


def sign_in(page: Page, name: str) -> None:
    """Fill in the form of the page and submit it."""
    page.get_by_role("textbox", name="User name").fill(name)
    page.get_by_role("textbox", name="Password").fill(PASSWORD)
    page.keyboard.press("Enter")


def requests_outside(site: Site) -> list[str]:
    """Return the requested paths outside the prefix."""
    return [one.path for one in site.proxy.seen if not one.path.startswith(f"{PATH}/")]


@pytest.mark.parametrize("address", ["/console", "/console/"])
def test_console_works_under_a_path(site: Site, window: Window, address: str) -> None:
    """Sign in, create an item, reload: still signed in, and no request outside the prefix."""
    page = window.open(f"{site.url}{address}").page
    sign_in(page, site.create_user("member"))
    page.get_by_role("link", name="New item").first.click()
    page.get_by_label("Name", exact=True).fill("Desk lamp")
    page.get_by_label("Price").fill("12.50")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("link", name="Desk lamp", exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_role("link", name="Desk lamp", exact=True)).to_be_visible()
    assert (requests_outside(site), set(site.proxy.statuses("/api/items", "POST"))) == ([], {201})


def test_console_logo_is_shown_under_a_path(site: Site, window: Window) -> None:
    """Its URL is relative to the script."""
    page = window.open(f"{site.url}/console").page
    picture = page.locator(".brand img")
    expect(picture).to_be_visible()
    assert picture.evaluate("picture => picture.naturalWidth") > 0


def test_cookie_name_includes_the_path(site: Site, window: Window) -> None:
    """A `__Host-` cookie belongs to the whole host (S-090)."""
    page = window.open(f"{site.url}/console").page
    sign_in(page, site.create_user("member"))
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    (cookie,) = window.context.cookies()
    assert (cookie["name"], cookie["path"]) == (f"{COOKIE_NAME}~api", "/")


def test_explorer_works_under_a_path(site: Site, window: Window) -> None:
    """Sign in and make a real call."""
    page = window.open(f"{site.url}/docs/explore").page
    expect(page.locator(".opblock").first).to_be_visible()
    sign_in(page, site.create_user("member"))
    expect(page.locator("#outcome")).to_contain_text("Signed in")
    page.locator("[id$=list_items]").get_by_role("button").first.click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table .response")).to_contain_text("next_cursor")
    assert requests_outside(site) == []


def test_documentation_links_work_under_a_path(site: Site, window: Window) -> None:
    """From the introduction to the description of each problem."""
    page = window.open(f"{site.url}/docs").page
    page.get_by_role("link", name="each code is explained").first.click()
    expect(page.get_by_role("heading", name="Problems")).to_be_visible()
    assert requests_outside(site) == []
