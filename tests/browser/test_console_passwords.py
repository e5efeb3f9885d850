"""Passwords in the console: the first one, another one, and how long to wait (S-040, S-119)."""

import re

import pytest
from playwright.sync_api import Page, expect

from itemsapi.accounts.models import User
from itemsapi.accounts.permissions import COMMAND_LINE
from itemsapi.problems import TooManyRequests
from support.app_factory import PASSWORD
from support.browser import OpenConsole, Site, Window, sign_in

MADE = "a password made for somebody"
GEESE = "seven quiet geese cross the river"
RULE = "At least 15 characters."


@pytest.fixture
def given(site: Site) -> str:
    """A user whose password was made by somebody else."""
    name = site.create_user("member")
    person = site.backend.services.users.get_by_name(name)
    site.backend.services.users.set_password(COMMAND_LINE, person.id, MADE, temporary=True)
    return name


@pytest.fixture
def first(site: Site, window: Window, given: str) -> Page:
    """The console, where that user has signed in on the way to the new items."""
    page = window.context.new_page()
    page.goto(f"{site.url}/console#/items/new")
    sign_in(page, given, MADE)
    expect(page.get_by_role("heading", name="Choose your password")).to_be_visible()
    return page


def replace(page: Page, new: str = GEESE) -> None:
    """Fill in what the page asks for besides."""
    page.get_by_label("New password").fill(new)
    page.get_by_role("button", name="Set password").click()


def change_password(page: Page, new: str, current: str = PASSWORD) -> None:
    """Fill in the form of the account."""
    page.get_by_role("link", name="My account").click()
    page.get_by_label("Current password").fill(current)
    page.get_by_label("New password").fill(new)
    page.get_by_role("button", name="Change password").click()


def use_up(site: Site, name: str) -> None:
    """Try wrong passwords where the browser is, until no more may be tried."""
    wrong = {"username": name, "password": "not the password, I fear"}
    client = site.backend.client()
    statuses = [client.post("/auth/login", json=wrong).status_code for _ in range(11)]
    assert statuses[-1] == 429


def test_user_is_told_when_to_come_back_after_too_many_tries(
    site: Site, enter: OpenConsole
) -> None:
    """In the words of the API, with its Retry-After in minutes, never too few of them."""
    name = site.create_user("member")
    use_up(site, name)
    page = enter(name=name)
    said = f"{TooManyRequests.title}. Try again in 15 minutes."
    expect(page.get_by_role("alert")).to_contain_text(said)


def test_user_is_told_when_to_come_back_after_too_many_current_passwords(
    site: Site, enter: OpenConsole
) -> None:
    """The form of the account counts as the sign-in does (S-045)."""
    name = site.create_user("member")
    page = enter(name=name)
    use_up(site, name)
    change_password(page, GEESE)
    expect(page.get_by_role("alert")).to_contain_text("Try again in 15 minutes.")


@pytest.mark.parametrize(
    ("seconds", "said"),
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
def test_time_to_wait_is_said_as_people_say_it(
    site: Site, window: Window, seconds: int, said: str
) -> None:
    """Never too early: what is begun counts."""
    page = window.open(f"{site.url}/console").page
    script = "async (s) => (await import('/console/words.js')).again(s)"
    assert page.evaluate(script, seconds) == f"Try again {said}."


def test_password_that_was_typed_at_the_sign_in_is_not_asked_for_again(first: Page) -> None:
    """One field, and it has the focus."""
    expect(first.get_by_label("The password you were given")).to_be_hidden()
    expect(first.get_by_label("New password")).to_be_focused()


def test_nothing_else_opens_before_the_first_password_is_replaced(first: Page) -> None:
    """The navigation has the one place (S-119)."""
    expect(first.get_by_role("link", name="Items")).to_have_count(0)


def test_user_is_led_on_when_the_first_password_is_replaced(first: Page) -> None:
    """To where they wanted to go, and told at the top that it worked."""
    replace(first)
    expect(first.get_by_role("heading", name="New item")).to_be_visible()
    expect(first.get_by_role("main").get_by_role("status")).to_contain_text("is changed")


def test_user_is_led_to_the_start_when_no_place_was_asked_for(
    enter: OpenConsole, given: str
) -> None:
    """After a sign-in at the console's plain address."""
    page = enter(name=given, password=MADE)
    replace(page)
    expect(page.get_by_role("heading", name="Items")).to_be_visible()


def test_word_of_the_change_stays_until_one_goes_elsewhere(first: Page) -> None:
    """It is no toast; and it is not said about another page."""
    replace(first)
    said = first.get_by_role("main").get_by_text("Your password is changed.")
    first.get_by_label("Language").select_option("ja")
    first.get_by_label("言語").select_option("en")
    expect(said).to_be_visible()
    first.get_by_role("link", name="My sessions").click()
    expect(first.get_by_role("heading", name="My sessions")).to_be_visible()
    expect(said).to_have_count(0)


def test_given_password_is_asked_for_when_the_page_was_loaded_again(first: Page) -> None:
    """Nothing of it was stored; where one wanted to go is in the address."""
    first.reload()
    first.get_by_label("The password you were given").fill(MADE)
    replace(first)
    expect(first.get_by_role("heading", name="New item")).to_be_visible()


def test_given_password_is_in_no_storage_and_no_field(first: Page) -> None:
    """It is in the memory of one module, and no longer in the page."""
    script = (
        "() => JSON.stringify([{...localStorage}, {...sessionStorage}, location.href,"
        " history.state, [...document.querySelectorAll('input')].map((each) => each.value)])"
    )
    assert MADE not in first.evaluate(script)


def remembered(page: Page) -> str:
    """Return the given password that the console has in its memory."""
    script = "async () => (await import('/console/given.js')).given().password"
    found: str = page.evaluate(script)
    return found


def test_given_password_is_remembered_until_it_was_used(first: Page) -> None:
    """Then it is forgotten."""
    before = remembered(first)
    replace(first)
    expect(first.get_by_role("heading", name="New item")).to_be_visible()
    assert (before, remembered(first)) == (MADE, "")


def test_given_password_is_forgotten_at_sign_out(first: Page) -> None:
    """In whichever tab that happens."""
    assert remembered(first) == MADE
    first.get_by_role("button", name="Sign out").click()
    expect(first.get_by_role("heading", name="Sign in")).to_be_visible()
    assert remembered(first) == ""


@pytest.mark.parametrize("password", [PASSWORD, "not the password, I fear"])
def test_password_of_a_sign_in_is_not_kept_when_it_is_no_given_one(
    site: Site, enter: OpenConsole, password: str
) -> None:
    """Neither a right one nor a wrong one."""
    assert remembered(enter("member", password=password)) == ""


def test_given_password_is_asked_for_when_another_one_was_made_meanwhile(
    site: Site, first: Page, given: str
) -> None:
    """What was remembered is wrong now; the field for it comes back, with the fault."""
    person = site.backend.services.users.get_by_name(given)
    stored = site.backend.services.issuer.password_service.hash(GEESE)
    overwrite(site, person.id, stored)
    replace(first, "nine loud ducks fly over the hill")
    expect(first.get_by_label("The password you were given")).to_be_focused()


def overwrite(site: Site, user_id: str, stored: str) -> None:
    """Put another password into the database, without ending the sessions."""
    with site.backend.services.database.transaction() as tx:
        tx.get_one(User, user_id).password_hash = stored


def test_rule_stands_at_the_field_before_a_password_is_refused(first: Page) -> None:
    """It describes the field to those who hear the page."""
    said = re.compile(RULE)
    expect(first.get_by_label("New password")).to_have_accessible_description(said)


def test_new_password_is_shown_and_an_old_one_is_not(enter: OpenConsole) -> None:
    """A typing error in a new one is seen; both can be shown or hidden."""
    page = enter("member")
    page.get_by_role("link", name="My account").click()
    expect(page.get_by_label("New password")).to_have_attribute("type", "text")
    expect(page.get_by_label("Current password")).to_have_attribute("type", "password")
    for box in page.get_by_label("Show password").all():
        box.click()
    expect(page.get_by_label("New password")).to_have_attribute("type", "password")
    expect(page.get_by_label("Current password")).to_have_attribute("type", "text")


def test_new_password_is_hidden_while_it_is_sent(site: Site, enter: OpenConsole) -> None:
    """No browser keeps it as the text of a field; after a refusal it is shown again."""
    page = enter("member")
    with site.proxy.delaying_responses("/me/password") as sent:
        change_password(page, "short")
        assert sent.wait(10)
        expect(page.get_by_label("New password")).to_have_attribute("type", "password")
    expect(page.get_by_label("New password")).to_have_attribute("type", "text")


def test_fault_is_told_at_its_field_alone_when_the_new_password_is_too_short(
    enter: OpenConsole,
) -> None:
    """The words of the service are there; no box pushes the button away."""
    page = enter("member")
    change_password(page, "short")
    expect(page.get_by_label("New password")).to_be_focused()
    expect(page.get_by_label("New password")).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".notice.bad")).to_have_count(0)


def test_number_of_faults_is_told_to_those_who_do_not_see_them(enter: OpenConsole) -> None:
    """As an alert that takes no room."""
    page = enter("member")
    change_password(page, "")
    expect(page.get_by_role("alert")).to_have_text("1 field needs another value.")
    page.get_by_label("Current password").fill("")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_role("alert")).to_have_text("2 fields need another value.")


def test_nothing_old_stays_when_the_browser_refuses_the_form(
    site: Site, enter: OpenConsole
) -> None:
    """A refusal of before is over as soon as the form is sent again."""
    page = enter("member")
    site.proxy.cut("/me/password", "body")
    change_password(page, GEESE)
    expect(page.locator(".notice.bad")).to_be_visible()
    page.get_by_label("New password").fill("")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_label("New password")).to_be_focused()
    expect(page.locator(".notice.bad")).to_have_count(0)


def test_user_is_told_that_the_password_may_have_changed_when_no_answer_came(
    site: Site, enter: OpenConsole
) -> None:
    """The service has changed it; the page cannot know."""
    page = enter("member")
    site.proxy.cut("/me/password", "body")
    change_password(page, GEESE)
    expect(page.get_by_role("alert")).to_contain_text("may have been changed")


def test_user_changes_the_password_and_stays_signed_in(site: Site, enter: OpenConsole) -> None:
    """It is said at the top, and the new one works at the next sign-in."""
    page, name = enter("member"), list(site.ids)[-1]
    change_password(page, GEESE)
    expect(page.get_by_role("main").get_by_role("status")).to_contain_text("is changed")
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, name, GEESE)
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


@pytest.mark.parametrize("place", ["account", "users/new", "users/{user}"])
def test_form_with_a_password_names_its_user(
    site: Site, enter: OpenConsole, given: str, place: str
) -> None:
    """For password managers, which pass over what is not displayed; Chromium asks for that too."""
    page = enter("admin")
    address = place.format(user=site.ids[given])
    page.evaluate("(place) => { location.hash = '#/' + place }", address)
    form = page.locator("form:has([autocomplete=new-password])")
    assert form.locator("[name=username]").evaluate("(input) => input.checkVisibility()")


def test_user_without_roles_is_told_so_in_words(enter: OpenConsole) -> None:
    """And what that means."""
    page = enter()
    page.get_by_role("link", name="My account").click()
    roles = page.locator("dt", has_text="Roles").locator("+ dd")
    expect(roles).to_contain_text("None. Whoever runs this service can give you one")
    may = page.locator("dt", has_text="What this session may do").locator("+ dd")
    expect(may).to_have_text("Nothing beyond your own account and your sessions.")


def test_one_item_is_counted_as_one(site: Site, enter: OpenConsole) -> None:
    """In the list, where there is one."""
    user = site.create_user("member")
    client = site.backend.bearer_client(site.backend.login(user)["access_token"])
    client.post("/items", json={"name": "Lamp", "price": "1.00", "currency": "EUR"})
    expect(enter(name=user).get_by_text("1 item on this page")).to_be_visible()
