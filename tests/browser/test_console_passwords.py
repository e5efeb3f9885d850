"""Passwords in the console: temporary ones, changes, and waiting times (S-040, S-119)."""

import re

import pytest
from playwright.sync_api import Page, expect

from itemsapi.accounts.models import COMMAND_LINE, User
from itemsapi.problems import TooManyRequests
from itemsapi.testing import PASSWORD
from support.browser import OpenConsole, PageServer, Site, Window, sign_in

TEMPORARY_PASSWORD = "a password made for somebody"
NEW_PASSWORD = "seven quiet geese cross the river"
RULE = "At least 15 characters."


@pytest.fixture
def user_with_temporary_password(site: Site) -> str:
    """A user with a temporary password."""
    name = site.create_user("member")
    user_record = site.backend.services.users.get_by_name(name)
    site.backend.services.users.set_password(
        COMMAND_LINE, user_record.id, TEMPORARY_PASSWORD, temporary=True
    )
    return name


@pytest.fixture
def first_password_page(site: Site, window: Window, user_with_temporary_password: str) -> Page:
    """The console, where that user has signed in at the view of a new item."""
    page = window.context.new_page()
    page.goto(f"{site.url}/console#/items/new")
    sign_in(page, user_with_temporary_password, TEMPORARY_PASSWORD)
    expect(page.get_by_role("heading", name="Choose your password")).to_be_visible()
    return page


def set_new_password(page: Page, new: str = NEW_PASSWORD) -> None:
    """Fill in the new password and submit."""
    page.get_by_label("New password").fill(new)
    page.get_by_role("button", name="Set password").click()


def change_password(page: Page, new: str, current: str = PASSWORD) -> None:
    """Fill in the form of the account view."""
    page.get_by_role("link", name="My account").click()
    page.get_by_label("Current password").fill(current)
    page.get_by_label("New password").fill(new)
    page.get_by_role("button", name="Change password").click()


def exhaust_attempts(site: Site, name: str) -> None:
    """Try wrong passwords from the browser's address until no attempt is left."""
    wrong = {"username": name, "password": "not the password, I fear"}
    client = site.backend.client()
    statuses = [client.post("/auth/login", json=wrong).status_code for _ in range(11)]
    assert statuses[-1] == 429


def test_waiting_time_is_shown_after_too_many_attempts(
    site: Site, open_console: OpenConsole
) -> None:
    """The API's message, with its Retry-After in minutes, rounded up."""
    name = site.create_user("member")
    exhaust_attempts(site, name)
    page = open_console(name=name)
    message = f"{TooManyRequests.title}. Try again in 15 minutes."
    expect(page.get_by_role("alert")).to_contain_text(message)


def test_waiting_time_is_shown_after_too_many_current_passwords(
    site: Site, open_console: OpenConsole
) -> None:
    """The account form counts attempts as the sign-in does (S-045)."""
    name = site.create_user("member")
    page = open_console(name=name)
    exhaust_attempts(site, name)
    change_password(page, NEW_PASSWORD)
    expect(page.get_by_role("alert")).to_contain_text("Try again in 15 minutes.")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "in a moment"),
        (1, "in a moment"),
        (30, "in 30 seconds"),
        (60, "in 1 minute"),
        (61, "in 2 minutes"),
        (3600, "in 60 minutes"),
        (3601, "in 2 hours"),
    ],
)
def test_waiting_time_is_readable(site: Site, window: Window, seconds: int, expected: str) -> None:
    """It is rounded up to whole units."""
    page = window.open(f"{site.url}/console").page
    script = "async (s) => (await import('/console/formats.js')).retryText(s)"
    assert page.evaluate(script, seconds) == f"Try again {expected}."


def test_temporary_password_is_not_asked_for_again_after_sign_in(first_password_page: Page) -> None:
    """The form has one field, with the focus."""
    expect(first_password_page.get_by_label("Temporary password")).to_be_hidden()
    expect(first_password_page.get_by_label("New password")).to_be_focused()


def test_other_views_are_closed_until_the_temporary_password_is_replaced(
    first_password_page: Page,
) -> None:
    """The navigation has a single entry (S-119)."""
    expect(first_password_page.get_by_role("link", name="Items")).to_have_count(0)


def test_requested_view_opens_when_the_temporary_password_is_replaced(
    first_password_page: Page,
) -> None:
    """A message at the top confirms the change."""
    set_new_password(first_password_page)
    expect(first_password_page.get_by_role("heading", name="New item")).to_be_visible()
    expect(first_password_page.get_by_role("main").get_by_role("status")).to_contain_text(
        "was changed"
    )


def test_start_view_opens_when_no_view_was_requested(
    open_console: OpenConsole, user_with_temporary_password: str
) -> None:
    """After a sign-in at the console's plain URL."""
    page = open_console(name=user_with_temporary_password, password=TEMPORARY_PASSWORD)
    set_new_password(page)
    expect(page.get_by_role("heading", name="Items")).to_be_visible()


def test_start_view_opens_when_the_link_named_a_page_of_another_site(
    site: Site, window: Window, user_with_temporary_password: str, page_server: PageServer
) -> None:
    """After the temporary password too, a link leads to pages of the console only."""
    page = window.context.new_page()
    page.goto(
        f"{site.url}/console#/account?then={page_server.origin_for('evil.localhost')}/spa.html"
    )
    sign_in(page, user_with_temporary_password, TEMPORARY_PASSWORD)
    set_new_password(page)
    expect(page.get_by_role("heading", name="Items")).to_be_visible()


def test_confirmation_stays_until_another_view_opens(first_password_page: Page) -> None:
    """It does not disappear after a time, and is not shown in another view."""
    set_new_password(first_password_page)
    confirmation = first_password_page.get_by_role("main").get_by_text("Your password was changed.")
    first_password_page.get_by_label("Language").select_option("ja")
    first_password_page.get_by_label("言語").select_option("en")
    expect(confirmation).to_be_visible()
    first_password_page.get_by_role("link", name="My sessions").click()
    expect(first_password_page.get_by_role("heading", name="My sessions")).to_be_visible()
    expect(confirmation).to_have_count(0)


def test_temporary_password_is_asked_for_after_a_reload(first_password_page: Page) -> None:
    """It was not stored; the requested view is in the URL."""
    first_password_page.reload()
    first_password_page.get_by_label("Temporary password").fill(TEMPORARY_PASSWORD)
    set_new_password(first_password_page)
    expect(first_password_page.get_by_role("heading", name="New item")).to_be_visible()


def test_temporary_password_is_in_no_storage_and_no_field(first_password_page: Page) -> None:
    """Only the memory of one module has it."""
    script = (
        "() => JSON.stringify([{...localStorage}, {...sessionStorage}, location.href,"
        " history.state, [...document.querySelectorAll('input')].map((each) => each.value)])"
    )
    assert TEMPORARY_PASSWORD not in first_password_page.evaluate(script)


def password_in_memory(page: Page) -> str:
    """Return the temporary password in the console's memory."""
    script = (
        "async () => (await import('/console/temporary_password.js')).keptCredentials().password"
    )
    found: str = page.evaluate(script)
    return found


def test_temporary_password_is_in_memory_until_it_is_used(first_password_page: Page) -> None:
    """Afterwards it is cleared."""
    before = password_in_memory(first_password_page)
    set_new_password(first_password_page)
    expect(first_password_page.get_by_role("heading", name="New item")).to_be_visible()
    assert (before, password_in_memory(first_password_page)) == (TEMPORARY_PASSWORD, "")


def test_temporary_password_is_cleared_at_sign_out(first_password_page: Page) -> None:
    """In whichever tab the sign-out happens."""
    assert password_in_memory(first_password_page) == TEMPORARY_PASSWORD
    first_password_page.get_by_role("button", name="Sign out").click()
    expect(first_password_page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert password_in_memory(first_password_page) == ""


@pytest.mark.parametrize("password", [PASSWORD, "not the password, I fear"])
def test_chosen_password_is_not_kept_in_memory(
    site: Site, open_console: OpenConsole, password: str
) -> None:
    """Neither a right one nor a wrong one."""
    assert password_in_memory(open_console("member", password=password)) == ""


def test_temporary_password_is_asked_for_when_it_was_changed_meanwhile(
    site: Site, first_password_page: Page, user_with_temporary_password: str
) -> None:
    """The remembered one is wrong; its field is shown again, with the error."""
    user_record = site.backend.services.users.get_by_name(user_with_temporary_password)
    password_hash_value = site.backend.services.issuer.password_service.hash(NEW_PASSWORD)
    overwrite_password(site, user_record.id, password_hash_value)
    set_new_password(first_password_page, "nine loud ducks fly over the hill")
    expect(first_password_page.get_by_label("Temporary password")).to_be_focused()


def overwrite_password(site: Site, user_id: str, password_hash_value: str) -> None:
    """Store another password hash without ending the sessions."""
    with site.backend.services.database.transaction() as tx:
        tx.get_one(User, user_id).password_hash = password_hash_value


def test_password_rule_is_shown_at_the_field(first_password_page: Page) -> None:
    """It is the accessible description of the field."""
    rule = re.compile(RULE)
    expect(first_password_page.get_by_label("New password")).to_have_accessible_description(rule)


def test_new_password_is_visible_and_the_current_one_is_hidden(open_console: OpenConsole) -> None:
    """Typing errors in a new one are visible; both can be shown or hidden."""
    page = open_console("member")
    page.get_by_role("link", name="My account").click()
    expect(page.get_by_label("New password")).to_have_attribute("type", "text")
    expect(page.get_by_label("Current password")).to_have_attribute("type", "password")
    for box in page.get_by_label("Show password").all():
        box.click()
    expect(page.get_by_label("New password")).to_have_attribute("type", "password")
    expect(page.get_by_label("Current password")).to_have_attribute("type", "text")


def test_new_password_is_hidden_while_it_is_sent(site: Site, open_console: OpenConsole) -> None:
    """Browsers then do not save it as form text; after an error it is shown again."""
    page = open_console("member")
    with site.proxy.delaying_responses("/me/password") as sent:
        change_password(page, "short")
        assert sent.wait(10)
        expect(page.get_by_label("New password")).to_have_attribute("type", "password")
    expect(page.get_by_label("New password")).to_have_attribute("type", "text")


def test_error_is_shown_only_at_its_field_when_the_new_password_is_too_short(
    open_console: OpenConsole,
) -> None:
    """The service's message is there; no separate box moves the button."""
    page = open_console("member")
    change_password(page, "short")
    expect(page.get_by_label("New password")).to_be_focused()
    expect(page.get_by_label("New password")).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".notice.bad")).to_have_count(0)


def test_number_of_errors_is_announced_to_screen_readers(open_console: OpenConsole) -> None:
    """It is a visually hidden alert."""
    page = open_console("member")
    change_password(page, "")
    expect(page.get_by_role("alert")).to_have_text("1 field needs another value.")
    page.get_by_label("Current password").fill("")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_role("alert")).to_have_text("2 fields need another value.")


def test_old_error_disappears_when_the_form_is_submitted_again(
    site: Site, open_console: OpenConsole
) -> None:
    """Also if the browser's own validation rejects the form."""
    page = open_console("member")
    site.proxy.cut("/me/password", "body")
    change_password(page, NEW_PASSWORD)
    expect(page.locator(".notice.bad")).to_be_visible()
    page.get_by_label("New password").fill("")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_label("New password")).to_be_focused()
    expect(page.locator(".notice.bad")).to_have_count(0)


def test_message_says_that_the_password_may_have_changed_without_a_response(
    site: Site, open_console: OpenConsole
) -> None:
    """The service has changed it; the page cannot know."""
    page = open_console("member")
    site.proxy.cut("/me/password", "body")
    change_password(page, NEW_PASSWORD)
    expect(page.get_by_role("alert")).to_contain_text("may have changed")


def test_user_changes_the_password_and_stays_signed_in(
    site: Site, open_console: OpenConsole
) -> None:
    """A message confirms the change, and the new password works at the next sign-in."""
    page, name = open_console("member"), list(site.ids)[-1]
    change_password(page, NEW_PASSWORD)
    expect(page.get_by_role("main").get_by_role("status")).to_contain_text("was changed")
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, name, NEW_PASSWORD)
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


@pytest.mark.parametrize("view", ["account", "users/new", "users/{user}"])
def test_password_form_has_a_displayed_user_name(
    site: Site, open_console: OpenConsole, user_with_temporary_password: str, view: str
) -> None:
    """For password managers, which ignore hidden fields; Chromium recommends it too."""
    page = open_console("admin")
    address = view.format(user=site.ids[user_with_temporary_password])
    page.evaluate("(place) => { location.hash = '#/' + place }", address)
    form = page.locator("form:has([autocomplete=new-password])")
    assert form.locator("[name=username]").evaluate("(input) => input.checkVisibility()")


def test_account_view_explains_missing_roles(open_console: OpenConsole) -> None:
    """It also says what that means."""
    page = open_console()
    page.get_by_role("link", name="My account").click()
    roles = page.locator("dt", has_text="Roles").locator("+ dd")
    expect(roles).to_contain_text("None. An operator can give you a role with more rights")
    may = page.locator("dt", has_text="What this session may do").locator("+ dd")
    expect(may).to_have_text("Only your own account and your sessions.")


def test_one_item_is_counted_in_the_singular(site: Site, open_console: OpenConsole) -> None:
    """The list says "1 item"."""
    user = site.create_user("member")
    client = site.backend.bearer_client(site.backend.login(user)["access_token"])
    client.post("/items", json={"name": "Lamp", "price": "1.00", "currency": "EUR"})
    expect(open_console(name=user).get_by_text("1 item on this page")).to_be_visible()
