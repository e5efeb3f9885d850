"""The explorer in a real Chromium: sign in, and call the service for real."""

import re

import pytest
from playwright.sync_api import Page, expect

from support.app_factory import PASSWORD
from support.browser import Site, Window

pytestmark = pytest.mark.browser


@pytest.fixture
def explorer(site: Site, window: Window) -> Page:
    """The explorer, with the document in it."""
    page = window.open(f"{site.url}/docs/explore").page
    expect(page.locator(".opblock").first).to_be_visible()
    return page


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """Fill in the form at the top and send it."""
    page.get_by_role("textbox", name="User name").fill(name)
    page.get_by_role("textbox", name="Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def try_list(page: Page) -> None:
    """Call `GET /items` as a reader of the page would."""
    page.locator("[id$=list_items]").get_by_role("button").first.click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()


def test_a_call_is_answered_when_signed_in_on_the_page(explorer: Page, site: Site) -> None:
    """The token goes with every call; nobody pastes anything."""
    sign_in(explorer, site.create_user("member"))
    expect(explorer.locator("#outcome")).to_contain_text("Signed in")
    try_list(explorer)
    expect(explorer.locator(".live-responses-table .response")).to_contain_text("next_cursor")


def test_a_call_is_refused_without_signing_in(explorer: Page) -> None:
    """The explorer goes through the gate as everybody does (S-001)."""
    try_list(explorer)
    expect(explorer.locator(".live-responses-table .response")).to_contain_text("token_missing")


def test_a_wrong_password_is_told_in_words(explorer: Page, site: Site) -> None:
    """The title of the problem is shown."""
    sign_in(explorer, site.create_user("member"), "not the password")
    expect(explorer.locator("#outcome")).to_have_text("User name or password is wrong")


def test_the_explorer_asks_no_other_host(explorer: Page, site: Site, window: Window) -> None:
    """S-140: own files only, also when a call was made."""
    try_list(explorer)
    expect(explorer.locator(".live-responses-table .response")).to_be_visible()
    assert window.watch.hosts == {re.sub("https?://", "", site.url)}
