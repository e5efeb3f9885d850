"""The API explorer in a real Chromium: sign in and call the service."""

import re

import pytest
from playwright.sync_api import Page, expect

from itemsapi.testing import PASSWORD
from support.browser import Site, Window

pytestmark = pytest.mark.browser


@pytest.fixture
def explorer(site: Site, window: Window) -> Page:
    """The explorer, with the document loaded."""
    page = window.open(f"{site.url}/docs/explore").page
    page.locator(".opblock").first.wait_for()  # two megabytes of JavaScript
    return page


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """Fill in the form at the top and submit it."""
    page.get_by_role("textbox", name="User name").fill(name)
    page.get_by_role("textbox", name="Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def call_list_items(page: Page) -> None:
    """Call `GET /items` in the explorer."""
    page.locator("[id$=list_items]").get_by_role("button").first.click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()


def test_a_call_succeeds_after_sign_in(explorer: Page, site: Site) -> None:
    """The token is sent automatically."""
    sign_in(explorer, site.create_user("member"))
    expect(explorer.locator("#outcome")).to_contain_text("Signed in")
    call_list_items(explorer)
    expect(explorer.locator(".live-responses-table .response")).to_contain_text("next_cursor")


def test_a_call_fails_without_sign_in(explorer: Page) -> None:
    """The gate applies to the explorer too (S-001)."""
    call_list_items(explorer)
    expect(explorer.locator(".live-responses-table .response")).to_contain_text("token_missing")


def test_a_wrong_password_shows_the_problem_title(explorer: Page, site: Site) -> None:
    """The page shows the title of the problem."""
    sign_in(explorer, site.create_user("member"), "not the password")
    expect(explorer.locator("#outcome")).to_have_text("User name or password is wrong")


def test_the_explorer_requests_no_other_host(explorer: Page, site: Site, window: Window) -> None:
    """S-140: only own files, also after a call."""
    call_list_items(explorer)
    expect(explorer.locator(".live-responses-table .response")).to_be_visible()
    assert window.watch.hosts == {re.sub("https?://", "", site.url)}
