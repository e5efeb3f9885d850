"""The console, used by mouse or keyboard, in English and Japanese."""

from collections.abc import Callable
from itertools import cycle
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from itemsapi.accounts.models import COMMAND_LINE
from itemsapi.issuer.users import UserService
from itemsapi.testing import PASSWORD
from support.browser import (
    SETTLE_TIMEOUT_MS,
    OpenConsole,
    PageServer,
    Site,
    Window,
    sign_in,
    wait_until,
)

OPERATOR_VIEWS = ["Users", "Roles", "Audit trail"]
# At once, because a toast vanishes after some seconds.
TOAST_AND_FOOT = """async (text) => {
  (await import("/console/dialog.js")).toast(text);
  scrollTo(0, document.documentElement.scrollHeight);
  const last = [...document.querySelectorAll("main button, main a, main li")].at(-1);
  const toast = document.querySelector(".toast").getBoundingClientRect();
  return [last.getBoundingClientRect().bottom <= toast.top, toast.bottom <= innerHeight];
}"""


def create(page: Page, name: str, price: str = "12.50") -> None:
    """Create an item with the form and wait until it is listed."""
    page.get_by_role("link", name="New item").first.click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Price").fill(price)
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("link", name=name, exact=True)).to_be_visible()


def edit(page: Page, item: str, field: str, value: str) -> None:
    """Open an item of the list and fill in a field."""
    page.get_by_role("link", name=item, exact=True).click()
    page.get_by_label(field, exact=True).fill(value)


def item_names(page: Page) -> list[str]:
    """Return the names in the table of items."""
    expect(page.get_by_role("table")).to_be_visible()
    return page.locator("tbody a.strong").all_inner_texts()


def test_user_signs_in_with_the_keyboard_only(site: Site, window: Window) -> None:
    """The first field has the focus; Tab and Enter are enough."""
    page = window.context.new_page()
    page.goto(f"{site.url}/console")
    expect(page.get_by_label("User name")).to_be_focused()
    page.keyboard.type(site.create_user("member"))
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Items")).to_be_focused()


def test_content_is_reached_when_the_skip_link_is_followed(open_console: OpenConsole) -> None:
    """Keyboard users can skip the navigation."""
    page = open_console("member")
    page.get_by_role("link", name="Skip to content").focus()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_reason_is_shown_when_the_password_is_wrong(site: Site, window: Window) -> None:
    """It is shown as an alert, and the name stays in its field."""
    page, name = window.context.new_page(), site.create_user("member")
    page.goto(f"{site.url}/console")
    sign_in(page, name, "not the password, I fear")
    expect(page.get_by_role("alert")).to_contain_text("User name or password is wrong")
    expect(page.get_by_label("User name")).to_have_value(name)


def test_item_is_listed_when_created_and_gone_when_deleted(open_console: OpenConsole) -> None:
    """Deleting asks for confirmation."""
    page = open_console("member")
    create(page, "Desk lamp")
    page.get_by_role("link", name="Desk lamp").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No items yet.")).to_be_visible()


def test_item_is_created_once_when_the_response_was_lost(
    site: Site, open_console: OpenConsole
) -> None:
    """R-25, R-30, S-154: the browser may retry by itself, and the user submits again."""
    page = open_console("member")
    page.get_by_role("link", name="New item").first.click()
    page.get_by_label("Name", exact=True).fill("Lost lamp")
    page.get_by_label("Price").fill("12.50")
    site.proxy.cut("/items", "answer", times=20)
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    site.proxy.repair()
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("link", name="Lost lamp", exact=True)).to_be_visible()
    assert (item_names(page), set(site.proxy.statuses("/items", "POST"))) == (["Lost lamp"], {201})


def test_change_is_saved_when_an_item_is_edited(open_console: OpenConsole) -> None:
    """The list shows it, after a reload too."""
    page = open_console("member")
    create(page, "Desk lamp")
    edit(page, "Desk lamp", "Name", "Floor lamp")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("link", name="Floor lamp")).to_be_visible()
    page.reload()
    assert item_names(page) == ["Floor lamp"]


def test_error_is_shown_at_its_field_when_a_value_is_invalid(open_console: OpenConsole) -> None:
    """The service's message describes the marked field."""
    page = open_console("member")
    page.get_by_role("link", name="New item").first.click()
    page.get_by_label("Name", exact=True).fill("Desk lamp")
    page.get_by_label("Price").fill("cheap")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_label("Price")).to_have_attribute("aria-invalid", "true")


@pytest.mark.parametrize(
    ("choice", "name"),
    [("Save my changes on top", "Mine"), ("Take theirs, drop mine", "Theirs")],
    ids=["mine", "theirs"],
)
def test_both_versions_are_shown_after_a_conflicting_change(
    open_console: OpenConsole, choice: str, name: str
) -> None:
    """No change is lost silently; the user chooses."""
    page = open_console("member")
    create(page, "Desk lamp")
    edit(page, "Desk lamp", "Name", "Mine")
    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_label("Name", exact=True).fill("Theirs")
    other.get_by_role("button", name="Save").click()
    expect(other.get_by_role("link", name="Theirs")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Somebody else changed this item")).to_be_focused()
    page.get_by_role("button", name=choice).click()
    other.reload()
    expect(other.get_by_role("link", name=name)).to_be_visible()


def test_reason_is_shown_when_a_proxy_weakens_etags(site: Site, open_console: OpenConsole) -> None:
    """S-153: there is no conflicting change; choosing a version would never end."""
    page = open_console("member")
    create(page, "Desk lamp")
    site.proxy.weaken_etags = True
    edit(page, "Desk lamp", "Name", "Mine")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("compresses the responses")


def test_list_is_filtered_and_paginated(site: Site, open_console: OpenConsole) -> None:
    """A page has 25 items; the URL contains the filter, so that it can be shared."""
    user = site.create_user("member")
    client = site.backend.bearer_client(site.backend.login(user)["access_token"])
    for number in range(27):
        made = {"name": f"Lamp {number:02}", "price": "1.00", "currency": "EUR"}
        client.post("/items", json=made)
    page = open_console(name=user)
    page.get_by_role("link", name="Next page").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_label("Search").fill("lamp 07")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    assert "q=lamp" in page.url


@pytest.mark.parametrize(("role", "seen"), [("member", []), ("admin", OPERATOR_VIEWS)])
def test_operator_views_are_shown_only_with_the_scope(
    open_console: OpenConsole, role: str, seen: list[str]
) -> None:
    """The gate decides; the console only hides views that would be rejected."""
    links = open_console(role).get_by_role("navigation").get_by_role("link")
    expect(links.first).to_be_visible()
    assert [name for name in links.all_inner_texts() if name in OPERATOR_VIEWS] == seen


def test_item_cannot_be_changed_when_the_user_may_only_read(
    site: Site, open_console: OpenConsole
) -> None:
    """The console shows no button that would be rejected."""
    page = open_console("reader")
    expect(page.get_by_role("heading", name="Items")).to_be_visible()
    expect(page.get_by_role("link", name="New item")).to_have_count(0)


def test_other_session_ends_when_the_user_ends_it(
    site: Site, open_console: OpenConsole, new_window: Callable[[], Window]
) -> None:
    """The other browser must sign in again at its next request."""
    user = site.create_user("member")
    page, other = open_console(name=user), new_window().spa(site)
    other.login(user)
    page.get_by_role("link", name="My sessions").click()
    page.get_by_role("button", name="End the session on").click()
    page.get_by_role("dialog").get_by_role("button", name="End").click()
    expect(page.get_by_text("The session is ended.")).to_be_visible()
    other.evaluate("() => spa.poll(100)")
    other.expect_texts(status="signed-out", reason="invalid_refresh_token")


def shows_session_ended(page: Page, location: str) -> bool:
    """Open another view; return whether the console says that the session has ended."""
    page.evaluate("(place) => { location.hash = place; }", location)
    return page.get_by_text("Your session has ended.").is_visible()


def test_console_of_a_user_closes_when_an_operator_disables_the_user(
    site: Site, open_console: OpenConsole, new_window: Callable[[], Window]
) -> None:
    """The next clicks of the user show the reason within 2 s."""
    user = site.create_user("member")
    page = new_window().context.new_page()
    page.goto(f"{site.url}/console")
    sign_in(page, user)
    UserService(site.backend.services.issuer).change(
        COMMAND_LINE, site.ids[user], None, disabled=True
    )
    places = cycle(["#/account", "#/sessions"])
    wait_until(lambda: shows_session_ended(page, next(places)), seconds=SETTLE_TIMEOUT_MS / 1000)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_console_is_japanese_when_the_user_chooses_it(open_console: OpenConsole) -> None:
    """The choice survives a reload, and is declared to screen readers."""
    page = open_console("member")
    page.get_by_label("Language").select_option("ja")
    expect(page.get_by_role("heading", name="アイテム")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="アイテム")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "ja")


def test_sign_out_leads_back_to_the_form_in_every_tab(
    open_console: OpenConsole, site: Site
) -> None:
    """One sign-out affects both tabs."""
    page = open_console("member")
    other = page.context.new_page()
    other.goto(f"{site.url}/console")
    expect(other.get_by_role("heading", name="Items")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible(timeout=SETTLE_TIMEOUT_MS)


@pytest.mark.parametrize("view", ["items", "account"])
@pytest.mark.parametrize("target", ["{elsewhere}", "javascript:document.title='x'", "docs"])
def test_console_stays_open_when_a_link_to_it_names_another_page(
    site: Site, open_console: OpenConsole, page_server: PageServer, view: str, target: str
) -> None:
    """Anybody can write such a link, for example to a false sign-in form."""
    elsewhere = page_server.origin_for("evil.localhost") + "/spa.html"
    page = open_console("member")
    link = f"{site.url}/console#/{view}?then={quote(target.format(elsewhere=elsewhere))}"
    page.goto(link)
    page.get_by_role("link", name="My sessions").click()
    expect(page.get_by_role("heading", name="My sessions")).to_be_visible()


def test_start_is_tried_again_at_once_when_the_user_asks_for_it(open_console: OpenConsole) -> None:
    """The button asks the service now, though it had asked to wait."""
    page = open_console("member")
    away = {"status": 503, "headers": {"Retry-After": "60"}, "json": {"code": "unavailable"}}
    page.route("**/auth/refresh", lambda route: route.fulfill(**away), times=1)
    page.reload()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="Items")).to_be_visible()


@pytest.mark.parametrize("height", [320, 844])
def test_foot_of_the_page_is_not_covered_by_a_toast(
    site: Site, new_window: Callable[..., Window], height: int
) -> None:
    """On a phone, with a message of several lines; the toast is in the window."""
    size = {"width": 390, "height": height}
    window = new_window(viewport=size, reduced_motion="reduce")
    page = window.open(f"{site.url}/console").page
    sign_in(page, site.create_user("member"))
    page.get_by_role("link", name="My sessions").click()
    expect(page.get_by_text("This one")).to_be_visible()
    assert page.evaluate(TOAST_AND_FOOT, "A long message. " * 9) == [True, True]
