"""How the pages for people look: contrast by axe, on wide and narrow screens, light and dark."""

from collections.abc import Iterator
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from support.browser import PageWatcher, Site, Window
from support.npm_packages import Npm

Scheme = Literal["light", "dark"]
CONTRAST = {"runOnly": ["color-contrast"]}  # the other rules are those of ReDoc's own elements
OPERATION = "[id='tag/items/operation/change_item']"
LOADING_TIMEOUT_MS = 60_000.0  # ReDoc is a megabyte of JavaScript
IS_DARK = """() => {
  const [red] = getComputedStyle(document.documentElement).backgroundColor.match(/[0-9]+/g);
  return Number(red) < 64;
}"""


@pytest.fixture(params=[(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def screen(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A tab of one width and colour scheme; at the end the page may have reported no error."""
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    window = Window(context, PageWatcher())
    window.watch.attach(context)
    yield context.new_page()
    context.close()
    assert window.watch.errors == []


def faults(page: Page, npm: Npm, within: str = "html", options: Any = None) -> list[Any]:
    """Return axe's serious violations in an element, and whether the page is too wide."""
    page.evaluate(npm.text("axe-core/axe.min.js"))
    run = "([within, options]) => axe.run(within, options ?? {})"
    found = page.evaluate(run, [within, options])["violations"]
    overflow = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    serious = [
        (one["id"], [node["html"][:90] for node in one["nodes"]])
        for one in found
        if one["impact"] in {"serious", "critical"}
    ]
    return [*serious, *(["too wide"] if overflow > 0 else [])]


def is_dark(page: Page) -> bool:
    """Return whether the page has a dark background."""
    return bool(page.evaluate(IS_DARK))


def wants_dark(page: Page) -> bool:
    """Return whether the browser asks for dark colours."""
    return bool(page.evaluate("() => matchMedia('(prefers-color-scheme: dark)').matches"))


def test_redoc_is_readable(screen: Page, site: Site, npm: Npm) -> None:
    """An operation with a request, an open response and a code sample."""
    screen.goto(f"{site.url}/docs")
    operation = screen.locator(OPERATION)
    operation.get_by_role("tab", name="curl").click(timeout=LOADING_TIMEOUT_MS)
    operation.get_by_role("button", name="200").click()
    expect(operation).to_contain_text("If-Match: ${ETAG}")
    assert faults(screen, npm, OPERATION, CONTRAST) == []
    assert faults(screen, npm, ".menu-content", CONTRAST) == []
    assert is_dark(screen) == wants_dark(screen)


def test_the_explorer_is_accessible(screen: Page, site: Site, npm: Npm) -> None:
    """With an open operation."""
    screen.goto(f"{site.url}/docs/explore")
    screen.locator("[id$=create_item]").get_by_role("button").first.click(
        timeout=LOADING_TIMEOUT_MS
    )
    expect(screen.locator(".responses-table").first).to_be_visible()
    assert faults(screen, npm) == []
    assert is_dark(screen) == wants_dark(screen)


def test_a_call_in_the_explorer_is_readable(screen: Page, site: Site, npm: Npm) -> None:
    """The parameters, the request as a command, and the response with its body."""
    screen.goto(f"{site.url}/docs/explore")
    operation = screen.locator(".opblock[id$=list_items]")
    operation.get_by_role("button").first.click(timeout=LOADING_TIMEOUT_MS)
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table .response")).to_contain_text("token_missing")
    assert faults(screen, npm) == []


def test_the_list_of_problems_is_accessible(screen: Page, site: Site, npm: Npm) -> None:
    """With a problem that an address points to."""
    screen.goto(f"{site.url}/docs/problems#csrf")
    assert faults(screen, npm) == []
    assert is_dark(screen) == wants_dark(screen)


def test_a_page_turns_dark_while_it_is_open(browser: Browser, site: Site) -> None:
    """As the system does in the evening."""
    with browser.new_context(color_scheme="light") as context:
        page = context.new_page()
        page.goto(f"{site.url}/docs")
        heading = page.get_by_role("heading", name="Create an item").first
        expect(heading).to_have_css("color", "rgb(51, 51, 51)", timeout=LOADING_TIMEOUT_MS)
        page.emulate_media(color_scheme="dark")
        expect(heading).to_have_css("color", "rgb(236, 239, 245)", timeout=LOADING_TIMEOUT_MS)


def test_the_index_leads_to_a_problem(site: Site, window: Window) -> None:
    """Each code is listed under its status."""
    page = window.open(f"{site.url}/docs/problems").page
    page.get_by_role("navigation").get_by_role("link", name="refresh_reused").click()
    expect(page.locator("#refresh_reused")).to_be_in_viewport()


def test_the_menu_has_the_titles_and_groups_of_the_document(site: Site, window: Window) -> None:
    """No name of a module."""
    page = window.open(f"{site.url}/docs").page
    menu = page.locator(".menu-content")
    expect(menu).to_contain_text("Your account", timeout=LOADING_TIMEOUT_MS)
    expect(menu).to_contain_text("Public keys and metadata")
    expect(menu).not_to_contain_text("wellknown")


def test_the_explorer_has_the_titles_of_the_document(site: Site, window: Window) -> None:
    """Swagger UI alone shows the names of the tags."""
    page = window.open(f"{site.url}/docs/explore").page
    expect(page.get_by_role("heading", name="Public keys and metadata")).to_be_visible(
        timeout=LOADING_TIMEOUT_MS
    )
