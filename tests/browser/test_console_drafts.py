"""What the user typed in the console and has not saved: no click loses it."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Dialog, Page, expect

from itemsapi.accounts.models import COMMAND_LINE
from itemsapi.issuer.users import UserService
from support.browser import SETTLE_TIMEOUT_MS, OpenConsole, Site, Window, sign_in, wait_until

TEXT = "Brass lamp"
STORED = "() => JSON.stringify(sessionStorage)"


@pytest.fixture
def user(site: Site) -> str:
    """A user who writes items."""
    return site.create_user("member")


@pytest.fixture
def typed_page(open_console: OpenConsole, user: str) -> Page:
    """The form of a new item, with a name that is typed and not saved."""
    page = open_console(name=user)
    page.get_by_role("link", name="New item").first.click()
    type_text(page)
    return page


def type_text(page: Page, text: str = TEXT) -> None:
    """Type the name of the item."""
    page.get_by_label("Name", exact=True).fill(text)


def expect_text(page: Page, text: str = TEXT) -> None:
    """Wait until the form has the name."""
    expect(page.locator("main [name=name]")).to_have_value(text)


def end_session_on_the_server(site: Site, page: Page, user: str) -> None:
    """End the sessions of a user, and let the page notice it."""
    UserService(site.backend.services.issuer).end_sessions(COMMAND_LINE, site.ids[user])
    script = "async () => { await (await import('/console/api.js')).call('GET', '/me') }"

    def is_noticed() -> bool:
        page.evaluate(f"() => ({script})().catch(() => {{}})")
        return page.get_by_role("heading", name="Sign in").is_visible()

    wait_until(is_noticed, seconds=SETTLE_TIMEOUT_MS / 1000)


def sign_out(page: Page) -> None:
    """Sign out and confirm that the text is deleted."""
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("dialog").get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_page_stays_open_when_the_user_does_not_want_to_leave(typed_page: Page) -> None:
    """A click on another page asks first."""
    typed_page.get_by_role("link", name="My account").click()
    typed_page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect_text(typed_page)
    assert typed_page.url.endswith("#/items/new")


def test_no_question_is_asked_when_nothing_is_typed(typed_page: Page) -> None:
    """Also not after the text was deleted again."""
    type_text(typed_page, "")
    typed_page.get_by_role("link", name="My account").click()
    expect(typed_page.get_by_role("heading", name="My account")).to_be_visible()


def test_draft_is_given_back_when_the_user_left_by_a_click(typed_page: Page) -> None:
    """A notice says that it is not saved."""
    typed_page.get_by_role("link", name="My account").click()
    typed_page.get_by_role("dialog").get_by_role("button", name="Leave the page").click()
    expect(typed_page.get_by_role("heading", name="My account")).to_be_visible()
    typed_page.go_back()
    expect_text(typed_page)
    expect(typed_page.get_by_text("These changes are not saved yet.")).to_be_visible()


def test_draft_is_given_back_after_back_and_forward(typed_page: Page) -> None:
    """Back cannot be held up; a toast says that the text is kept."""
    typed_page.go_back()
    expect(typed_page.get_by_text("What you typed is kept as a draft.")).to_be_visible()
    typed_page.go_forward()
    expect_text(typed_page)


def test_draft_is_given_back_after_a_reload(typed_page: Page) -> None:
    """The browser asks first; what it asks is its own."""
    asked: list[str] = []

    def accept(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    typed_page.on("dialog", accept)
    typed_page.reload()
    expect_text(typed_page)
    assert asked == ["beforeunload"]


def test_typed_text_stays_when_the_language_changes(typed_page: Page) -> None:
    """The page is drawn anew around it."""
    typed_page.get_by_label("Language").select_option("ja")
    expect(typed_page.get_by_role("heading", name="アイテムの新規作成")).to_be_visible()
    expect_text(typed_page)


def test_typed_user_name_stays_when_the_language_changes(site: Site, window: Window) -> None:
    """On the sign-in page too."""
    page = window.open(f"{site.url}/console").page
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Language").select_option("ja")
    expect(page.get_by_label("ユーザー名")).to_have_value("ada")


def test_draft_is_given_back_to_the_same_user_after_the_session_ended(
    site: Site, typed_page: Page, user: str
) -> None:
    """The sign-in page says that the text waits."""
    end_session_on_the_server(site, typed_page, user)
    expect(typed_page.get_by_text("Sign in as the same user to go on.")).to_be_visible()
    sign_in(typed_page, user)
    expect_text(typed_page)


def test_draft_is_deleted_when_another_user_signs_in(
    site: Site, typed_page: Page, user: str
) -> None:
    """No user sees the text of another one, neither in the page nor in storage."""
    end_session_on_the_server(site, typed_page, user)
    sign_in(typed_page, site.create_user("member"))
    expect_text(typed_page, "")
    assert TEXT not in typed_page.evaluate(STORED)


def test_draft_is_deleted_when_the_user_signs_out(typed_page: Page) -> None:
    """After a question."""
    sign_out(typed_page)
    assert TEXT not in typed_page.evaluate(STORED)


def test_draft_is_deleted_when_the_user_signs_out_in_another_tab(
    site: Site, typed_page: Page
) -> None:
    """The next user of the machine finds nothing."""
    other = typed_page.context.new_page()
    other.goto(f"{site.url}/console")
    other.get_by_role("button", name="Sign out").click()
    expect(typed_page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert TEXT not in typed_page.evaluate(STORED)


def test_draft_is_deleted_when_the_item_is_saved(typed_page: Page) -> None:
    """The form of the next item is empty, and no question is asked."""
    typed_page.get_by_label("Price").fill("1")
    typed_page.get_by_role("button", name="Create").click()
    typed_page.get_by_role("link", name="New item").click()
    expect_text(typed_page, "")


def test_form_has_its_first_values_again_when_the_draft_is_discarded(typed_page: Page) -> None:
    """The notice has a button for it."""
    typed_page.reload()
    typed_page.get_by_role("button", name="Discard").click()
    expect_text(typed_page, "")
    assert TEXT not in typed_page.evaluate(STORED)


def test_conflict_is_shown_when_a_draft_of_an_older_version_is_saved(
    site: Site, open_console: OpenConsole, user: str
) -> None:
    """The draft remembers the version that it changes, so that nobody's change is lost."""
    client = site.backend.bearer_client(site.backend.login(user)["access_token"])
    made = client.post("/items", json={"name": "Lamp", "price": "1.00", "currency": "EUR"})
    page = open_console(name=user)
    page.get_by_role("link", name="Lamp").click()
    type_text(page)
    change = {"name": "Theirs"}
    client.patch(f"/items/{made.get_json()['id']}", json=change, headers={"If-Match": "*"})
    page.reload()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Somebody else changed this item")).to_be_focused()


def test_typed_password_is_not_in_a_draft(open_console: OpenConsole) -> None:
    """S-040: the name and the roles of a new user are kept, the password is not."""
    page = open_console("admin")
    page.evaluate("() => { location.hash = '#/users/new' }")
    page.get_by_label("User name").fill("grace")
    page.get_by_label("Password", exact=True).fill("a password for grace")
    page.get_by_label("member").check()
    stored = page.evaluate(STORED)
    assert ("grace" in stored, "member" in stored, "a password" in stored) == (True, True, False)


@pytest.mark.parametrize("leave", ["account", "language"])
def test_user_is_asked_when_a_typed_password_would_be_lost(
    open_console: OpenConsole, leave: str
) -> None:
    """A password is in no draft, so a change of the language asks too."""
    page = open_console("member")
    page.get_by_role("link", name="My account").click()
    page.get_by_label("Current password").fill("a password")
    actions: dict[str, Callable[[], object]] = {
        "account": lambda: page.get_by_role("link", name="Items").click(),
        "language": lambda: page.get_by_label("Language").select_option("ja"),
    }
    actions[leave]()
    expect(page.get_by_role("dialog")).to_contain_text("A password is not kept")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.get_by_label("Current password")).to_have_value("a password")
