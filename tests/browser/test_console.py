"""The console as people use it: by mouse or keyboard, in English and Japanese."""

from collections.abc import Callable
from itertools import cycle

import pytest
from playwright.sync_api import Page, expect

from itemsapi.accounts.permissions import COMMAND_LINE
from itemsapi.issuer.users import UserService
from support.app_factory import PASSWORD
from support.browser import SETTLE_TIMEOUT_MS, OpenConsole, Site, Window, sign_in, wait_until

OPERATORS = ["Users", "Roles", "Audit trail"]


def create(page: Page, name: str, price: str = "12.50") -> None:
    """Create an item by its form and wait until it is listed."""
    page.get_by_role("link", name="New item").first.click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Price").fill(price)
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("link", name=name, exact=True)).to_be_visible()


def edit(page: Page, item: str, field: str, value: str) -> None:
    """Open an item of the list and type into a field of it."""
    page.get_by_role("link", name=item, exact=True).click()
    page.get_by_label(field, exact=True).fill(value)


def rows(page: Page) -> list[str]:
    """List the names in the table of items."""
    expect(page.get_by_role("table")).to_be_visible()
    return page.locator("tbody a.strong").all_inner_texts()


def test_user_signs_in_with_the_keyboard_alone(site: Site, window: Window) -> None:
    """The first field has the focus; Tab and Enter do the rest."""
    page = window.context.new_page()
    page.goto(f"{site.url}/console")
    expect(page.get_by_label("User name")).to_be_focused()
    page.keyboard.type(site.create_user("member"))
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Items")).to_be_focused()


def test_content_is_reached_when_the_skip_link_is_followed(enter: OpenConsole) -> None:
    """Nobody has to go through the navigation on every page."""
    page = enter("member")
    page.get_by_role("link", name="Skip to content").focus()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_reason_is_told_when_the_password_is_wrong(site: Site, window: Window) -> None:
    """In words, as an alert, and the name stays in its field."""
    page, name = window.context.new_page(), site.create_user("member")
    page.goto(f"{site.url}/console")
    sign_in(page, name, "not the password, I fear")
    expect(page.get_by_role("alert")).to_contain_text("User name or password is wrong")
    expect(page.get_by_label("User name")).to_have_value(name)


def test_item_is_listed_when_created_and_gone_when_deleted(enter: OpenConsole) -> None:
    """Through the forms, with a question before what cannot be undone."""
    page = enter("member")
    create(page, "Desk lamp")
    page.get_by_role("link", name="Desk lamp").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No items yet.")).to_be_visible()


def test_item_is_there_once_when_the_answer_to_its_creation_was_lost(
    site: Site, enter: OpenConsole
) -> None:
    """R-25, R-30, S-154: the browser may try again by itself, and the user presses once more."""
    page = enter("member")
    page.get_by_role("link", name="New item").first.click()
    page.get_by_label("Name", exact=True).fill("Lost lamp")
    page.get_by_label("Price").fill("12.50")
    site.proxy.cut("/items", "answer", times=20)
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    site.proxy.repair()
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("link", name="Lost lamp", exact=True)).to_be_visible()
    assert (rows(page), set(site.proxy.statuses("/items", "POST"))) == (["Lost lamp"], {201})


def test_change_is_kept_when_an_item_is_edited(enter: OpenConsole) -> None:
    """The list shows it, after a reload too."""
    page = enter("member")
    create(page, "Desk lamp")
    edit(page, "Desk lamp", "Name", "Floor lamp")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("link", name="Floor lamp")).to_be_visible()
    page.reload()
    assert rows(page) == ["Floor lamp"]


def test_fault_is_shown_beside_its_field_when_a_value_is_refused(enter: OpenConsole) -> None:
    """The words come from the service; the field is marked and described by them."""
    page = enter("member")
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
def test_both_versions_are_shown_when_somebody_else_was_quicker(
    enter: OpenConsole, choice: str, name: str
) -> None:
    """Neither change is lost unawares; the user chooses."""
    page = enter("member")
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


def test_user_is_told_why_when_a_proxy_weakens_etags(site: Site, enter: OpenConsole) -> None:
    """S-153: nobody else was quicker, and to choose between versions would never end."""
    page = enter("member")
    create(page, "Desk lamp")
    site.proxy.weaken_etags = True
    edit(page, "Desk lamp", "Name", "Mine")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("compresses its answers")


def test_list_is_filtered_and_turned_page_by_page(site: Site, enter: OpenConsole) -> None:
    """25 a page; the address keeps the filter, so that it can be sent to somebody."""
    user = site.create_user("member")
    client = site.backend.bearer_client(site.backend.login(user)["access_token"])
    for number in range(27):
        made = {"name": f"Lamp {number:02}", "price": "1.00", "currency": "EUR"}
        client.post("/items", json=made)
    page = enter(name=user)
    page.get_by_role("link", name="Next page").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_label("Search").fill("lamp 07")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    assert "q=lamp" in page.url


@pytest.mark.parametrize(("role", "seen"), [("member", []), ("admin", OPERATORS)])
def test_operators_views_are_shown_to_those_with_the_scope_alone(
    enter: OpenConsole, role: str, seen: list[str]
) -> None:
    """The gate decides; the console spares the others what they may not do."""
    links = enter(role).get_by_role("navigation").get_by_role("link")
    expect(links.first).to_be_visible()
    assert [name for name in links.all_inner_texts() if name in OPERATORS] == seen


def test_item_cannot_be_changed_when_the_user_may_only_read(site: Site, enter: OpenConsole) -> None:
    """No button is offered that would be refused."""
    page = enter("reader")
    expect(page.get_by_role("heading", name="Items")).to_be_visible()
    expect(page.get_by_role("link", name="New item")).to_have_count(0)


def test_other_session_ends_when_the_user_ends_it(
    site: Site, enter: OpenConsole, new_window: Callable[[], Window]
) -> None:
    """The other browser is asked to sign in again at its next request."""
    user = site.create_user("member")
    page, other = enter(name=user), new_window().spa(site)
    other.login(user)
    page.get_by_role("link", name="My sessions").click()
    page.get_by_role("button", name="End the session on").click()
    page.get_by_role("dialog").get_by_role("button", name="End").click()
    expect(page.get_by_text("The session is ended.")).to_be_visible()
    other.evaluate("() => spa.poll(100)")
    other.expect_texts(status="signed-out", reason="invalid_refresh_token")


def told_why(page: Page, place: str) -> bool:
    """Look at another view; tell whether the console says that the session has ended."""
    page.evaluate("(place) => { location.hash = place; }", place)
    return page.get_by_text("Your session has ended.").is_visible()


def test_operator_disables_a_user_and_the_users_console_closes(
    site: Site, enter: OpenConsole, new_window: Callable[[], Window]
) -> None:
    """The user goes on clicking, and within 2 s is told what has happened."""
    user = site.create_user("member")
    page = new_window().context.new_page()
    page.goto(f"{site.url}/console")
    sign_in(page, user)
    UserService(site.backend.services.issuer).change(
        COMMAND_LINE, site.ids[user], None, disabled=True
    )
    places = cycle(["#/account", "#/sessions"])
    wait_until(lambda: told_why(page, next(places)), seconds=SETTLE_TIMEOUT_MS / 1000)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_console_speaks_japanese_when_the_user_chooses_so(enter: OpenConsole) -> None:
    """It keeps to that after a reload, and says so to screen readers."""
    page = enter("member")
    page.get_by_label("Language").select_option("ja")
    expect(page.get_by_role("heading", name="アイテム")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="アイテム")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "ja")


def test_sign_out_leads_back_to_the_form_in_every_tab(enter: OpenConsole, site: Site) -> None:
    """Two tabs of the console, one sign-out."""
    page = enter("member")
    other = page.context.new_page()
    other.goto(f"{site.url}/console")
    expect(other.get_by_role("heading", name="Items")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible(timeout=SETTLE_TIMEOUT_MS)
