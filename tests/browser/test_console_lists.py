"""Lists of the console for operators: owners, search of users, filters of events, sessions."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from itemsapi.audit import ApplicationEvent
from support.browser import OpenConsole, Site, Window
from support.operator_client import create_role

FIRST_USERS, ONE_USER = re.compile(r"/users\?"), re.compile(r"/users/\d+$")
DELETED_ID = "00000000-0000-7000-8000-000000000000"
LOAD_NAMES = """async (ids) => {
  const { loadUserNames } = await import("/console/user_names.js");
  return Object.fromEntries(await loadUserNames(ids));
}"""


@pytest.fixture
def owner(site: Site) -> str:
    """The name of a member who has one item, which is named after them."""
    name = site.create_user("member")
    client = site.backend.bearer_client(site.backend.login(name)["access_token"])
    client.post("/items", json={"name": f"Lamp of {name}", "price": "1.00", "currency": "EUR"})
    return name


@pytest.fixture
def admin_page(open_console: OpenConsole) -> Page:
    """The console of an admin."""
    return open_console("admin")


def row(page: Page, text: str) -> Locator:
    """Return the row of a table with this text."""
    return page.locator("tbody tr").filter(has_text=text)


def open_user(page: Page, name: str) -> None:
    """Open the page of a user, by way of the search."""
    page.get_by_role("link", name="Users").click()
    page.get_by_label("Beginning of the user name").fill(name)
    page.keyboard.press("Enter")
    page.get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()


def open_audit_trail(page: Page, **filters: str) -> None:
    """Open the audit trail and apply filters: `event` by its words, `user` by name."""
    page.get_by_role("link", name="Audit trail").click()
    page.get_by_label("Event").select_option(filters.get("event", "All events"))
    page.get_by_role("searchbox", name="User").fill(filters.get("user", ""))
    page.get_by_role("button", name="Apply").click()


def test_name_of_the_signed_in_user_is_shown(site: Site, open_console: OpenConsole) -> None:
    """On every page, as a link to the account."""
    name = site.create_user("member")
    open_console(name=name).get_by_role("link", name=f"Signed in as {name}").click()


def test_operator_sees_the_owners_of_items(admin_page: Page, owner: str) -> None:
    """By name; a click on it shows only the owner's items."""
    admin_page.reload()
    row(admin_page, f"Lamp of {owner}").get_by_role("link", name=owner, exact=True).click()
    expect(admin_page.get_by_text("1 item on this page")).to_be_visible()
    expect(admin_page.get_by_role("link", name="Clear filters")).to_be_visible()


def test_member_sees_no_column_of_owners(open_console: OpenConsole, owner: str) -> None:
    """All items are the member's own."""
    page = open_console(name=owner)
    expect(page.get_by_role("link", name="Lamp of")).to_be_visible()
    expect(page.get_by_role("columnheader", name="Owner")).to_have_count(0)


def test_operator_is_told_whose_item_it_is(admin_page: Page, owner: str) -> None:
    """Before anything is changed."""
    admin_page.reload()
    admin_page.get_by_role("link", name=f"Lamp of {owner}").click()
    expect(admin_page.get_by_text(f"This item belongs to {owner}.")).to_be_visible()


def test_user_is_found_by_the_beginning_of_the_name(site: Site, admin_page: Page) -> None:
    """In any case; the address contains the search."""
    site.backend.create_user("henrietta")
    admin_page.get_by_role("link", name="Users").click()
    admin_page.get_by_label("Beginning of the user name").fill("Henri")
    admin_page.get_by_role("button", name="Apply").click()
    expect(admin_page.get_by_text("1 user on this page")).to_be_visible()
    assert admin_page.url.endswith("#/users?q=Henri")


def test_whole_list_is_shown_again_after_a_search_without_result(admin_page: Page) -> None:
    """By a link beside the filters."""
    admin_page.evaluate("() => { location.hash = '#/users?q=nobody-has-this-name' }")
    expect(admin_page.get_by_text("No user matches.")).to_be_visible()
    admin_page.get_by_role("link", name="Clear filters").click()
    expect(admin_page.get_by_role("table")).to_be_visible()


def test_events_of_one_user_are_shown(admin_page: Page, owner: str) -> None:
    """The user is given by name, the event is chosen by its words."""
    open_audit_trail(admin_page, event="Signed in", user=owner)
    expect(admin_page.get_by_text("1 event on this page")).to_be_visible()
    expect(row(admin_page, "Signed in")).to_contain_text(owner)


def test_ids_are_shown_when_the_names_of_users_cannot_be_loaded(
    site: Site, admin_page: Page, owner: str
) -> None:
    """The page of the audit trail does not fail for lack of names."""
    site.proxy.cut("/users", "request", times=1000)
    admin_page.get_by_role("link", name="Audit trail").click()
    expect(row(admin_page, site.ids[owner]).first).to_be_visible()


def test_names_beyond_the_first_page_of_users_are_loaded(site: Site, admin_page: Page) -> None:
    """One by one, if the service has many users; a deleted user has none."""
    names = [site.create_user() for _ in range(8)]
    ids = [site.ids[name] for name in names]
    admin_page.route(
        FIRST_USERS, lambda route: route.fulfill(json={"items": [], "next_cursor": "x"})
    )
    assert admin_page.evaluate(LOAD_NAMES, [*ids, DELETED_ID]) == dict(zip(ids, names, strict=True))


def test_no_more_names_are_asked_for_when_the_service_has_enough(admin_page: Page) -> None:
    """A page with the ids of a hundred users does not use up the rate limit of its operator."""
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=429, json={"code": "too_many_requests"})

    admin_page.route(
        FIRST_USERS, lambda route: route.fulfill(json={"items": [], "next_cursor": "x"})
    )
    admin_page.route(ONE_USER, refuse)
    assert admin_page.evaluate(LOAD_NAMES, [str(number) for number in range(100)]) == {}
    assert len(asked) == 6


def test_a_search_that_found_nothing_yet_says_that_it_continues(admin_page: Page) -> None:
    """S-101: an empty page with a cursor is not the end of the list."""
    page_of_search = {"items": [], "next_cursor": "x"}
    admin_page.route(re.compile(r"/items\?.*q="), lambda route: route.fulfill(json=page_of_search))
    admin_page.goto(re.sub("#.*", "", admin_page.url) + "#/items?q=rare")
    expect(admin_page.get_by_text("No item matches so far.")).to_be_visible()
    expect(admin_page.get_by_role("link", name="Next")).to_be_visible()


def test_no_event_is_shown_for_an_unknown_user(admin_page: Page) -> None:
    """Rather than those of everybody."""
    open_audit_trail(admin_page, user="nobody-has-this-name")
    expect(admin_page.get_by_text("No event matches.")).to_be_visible()


def test_event_of_an_application_is_shown_and_filtered_by_its_name(
    site: Site, admin_page: Page
) -> None:
    """The console has no words for it."""
    with site.backend.services.database.transaction() as tx:
        site.backend.services.audit.record(tx, ApplicationEvent("order_placed"))
    open_audit_trail(admin_page)
    admin_page.get_by_role("link", name="order_placed").click()
    expect(admin_page.get_by_text("1 event on this page")).to_be_visible()
    expect(admin_page.get_by_label("Event")).to_have_value("order_placed")


def test_operator_ends_a_session_of_another_user(
    site: Site, admin_page: Page, owner: str, new_window: Callable[[], Window]
) -> None:
    """S-125: the other browser must sign in again."""
    other = new_window().spa(site)
    other.login(owner)
    open_user(admin_page, owner)
    admin_page.get_by_role("button", name="End the session on Mozilla").first.click()
    admin_page.get_by_role("dialog").get_by_role("button", name="End").click()
    expect(admin_page.get_by_text("The session is ended.")).to_be_visible()
    other.evaluate("() => spa.poll(100)")
    other.expect_texts(status="signed-out", reason="invalid_refresh_token")


def test_operator_ends_all_sessions_of_a_user(admin_page: Page, owner: str) -> None:
    """After a question; the empty list says so."""
    open_user(admin_page, owner)
    admin_page.get_by_role("button", name="End all").click()
    admin_page.get_by_role("dialog").get_by_role("button", name="End all").click()
    expect(admin_page.get_by_text(f"{owner} is not signed in anywhere.")).to_be_visible()


def test_operator_who_may_only_read_users_sees_no_form(
    site: Site, open_console: OpenConsole, owner: str
) -> None:
    """The console shows no button that would be rejected."""
    page = open_console(create_role(site.backend, "users:read"))
    open_user(page, owner)
    expect(page.get_by_text("member", exact=True)).to_be_visible()
    expect(page.locator("main form")).to_have_count(0)
    expect(page.get_by_role("heading", name="Sessions")).to_have_count(0)
