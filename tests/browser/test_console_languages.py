"""The languages of the console: texts of the service in Japanese, dates and prices of a country."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from itemsapi.testing import PASSWORD
from support.browser import OpenConsole, Site, Window, sign_in
from support.operator_client import NEW_PASSWORD

OpenIn = Callable[..., Page]
TRANSLATE = """async (texts) => {
  const { translateServerText } = await import("/console/i18n.js");
  return texts.filter((text) => translateServerText(text).lang !== "ja");
}"""
PARSE = "async (typed) => (await import('/console/formats.js')).parsePrice(typed)"
LAMP = {"name": "Lamp", "price": "1.00", "currency": "EUR"}
USER = {"username": "grace", "password": NEW_PASSWORD}
REJECTED: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/items", {}),
    ("POST", "/items", LAMP | {"name": ""}),
    ("POST", "/items", LAMP | {"name": "x" * 201}),
    ("POST", "/items", LAMP | {"name": "a\x07b"}),
    ("POST", "/items", LAMP | {"price": "cheap"}),
    ("POST", "/items", LAMP | {"price": "1.234"}),
    ("POST", "/items", LAMP | {"price": "1.5", "currency": "JPY"}),
    ("POST", "/items", LAMP | {"currency": "XYZ"}),
    ("POST", "/items", LAMP | {"quantity": -1}),
    ("POST", "/items", LAMP | {"quantity": 1.5}),
    ("POST", "/items", LAMP | {"tags": ["x"] * 60}),
    ("POST", "/items", LAMP | {"tags": ["x" * 80]}),
    ("POST", "/items", LAMP | {"sku": "taken"}),
    ("POST", "/users", USER | {"username": "no blanks"}),
    ("POST", "/users", USER | {"username": "olga"}),
    ("POST", "/users", USER | {"password": "short"}),
    ("POST", "/users", USER | {"password": "x" * 257}),
    ("POST", "/users", USER | {"password": "password12345678"}),
    ("POST", "/users", USER | {"password": "grace-grace-grace-grace"}),
    ("POST", "/users", USER | {"password": "abcdefghijklmnop"}),
    ("POST", "/users", USER | {"roles": ["no-such-role"]}),
    ("PUT", "/roles/Not%20a%20name", {"description": "", "scopes": []}),
    ("PUT", "/roles/clerk", {"description": "", "scopes": ["no:scope"]}),
    ("PUT", "/roles/admin", {"description": "", "scopes": []}),
    ("POST", "/me/password", {"current_password": "wrong", "new_password": NEW_PASSWORD}),
]


@pytest.fixture
def open_in(site: Site, new_window: Callable[..., Window]) -> OpenIn:
    """Open the console in a browser of a locale, signed in as a user with some roles."""

    def opened(locale: str, *roles: str) -> Page:
        page = new_window(locale=locale).open(f"{site.url}/console").page
        sign_in(page, site.create_user(*roles))
        expect(page.locator("h1")).to_be_focused()
        return page

    return opened


@pytest.fixture
def japanese_page(open_console: OpenConsole) -> Page:
    """The console of an admin, in Japanese."""
    page = open_console("admin")
    page.get_by_label("Language").select_option("ja")
    expect(page.get_by_role("heading", name="アイテム")).to_be_visible()
    return page


def open_view(page: Page, address: str) -> None:
    """Open a page of the console by its hash."""
    page.evaluate("(hash) => { location.hash = hash }", address)


def fill_price(page: Page, price: str) -> None:
    """Fill in the form of a new item and submit it."""
    open_view(page, "#/items/new")
    page.get_by_label("Name", exact=True).fill("Lamp")
    page.get_by_label("Price").fill(price)
    page.get_by_role("button", name="Create").click()


def rejections(site: Site) -> list[str]:
    """Return what the service says about bad values, field by field, and its details."""
    client = site.backend.signed_in_client("olga", "admin")
    client.post("/items", json=LAMP | {"sku": "taken"})
    texts = []
    for method, path, body in REJECTED:
        problem = client.open(path, method=method, json=body, headers={"If-Match": "*"}).get_json()
        errors = [error["message"] for error in problem.get("errors", [])]
        texts += errors or [problem["detail"]]
    return texts


def test_everything_the_service_says_about_a_form_is_japanese(
    site: Site, japanese_page: Page
) -> None:
    """A new text of the service needs a translation."""
    assert japanese_page.evaluate(TRANSLATE, rejections(site)) == []


def test_error_of_a_field_is_japanese(japanese_page: Page) -> None:
    """It describes the field, and no language is declared that it does not have."""
    open_view(japanese_page, "#/users/new")
    japanese_page.get_by_label("ユーザー名").fill("grace")
    japanese_page.get_by_label("パスワード", exact=True).fill("short")
    japanese_page.get_by_role("button", name="ユーザーを作成").click()
    fault = japanese_page.locator(".fault", has_text="15 文字以上にしてください。")
    expect(fault).to_have_attribute("lang", "ja")


@pytest.mark.parametrize(
    ("field", "typed", "words"),
    [
        ("名前", "", "この項目は必須です。"),
        ("数量", "1.5", "0 から 2,147,483,647 までの整数を入力してください。"),
        ("通貨", "12", "説明のとおりに入力してください。"),
    ],
)
def test_fault_that_the_browser_finds_is_japanese(
    japanese_page: Page, field: str, typed: str, words: str
) -> None:
    """The browser would say it in its own language."""
    open_view(japanese_page, "#/items/new")
    japanese_page.get_by_label(field, exact=True).fill(typed)
    japanese_page.get_by_role("button", name="作成").click()
    expect(japanese_page.get_by_text(words).first).to_be_visible()


def test_detail_of_a_problem_is_japanese(site: Site, japanese_page: Page) -> None:
    """With the name that it is about."""
    name = site.create_user()
    open_view(japanese_page, "#/users/new")
    japanese_page.get_by_label("ユーザー名").fill(name)
    japanese_page.get_by_label("パスワード", exact=True).fill(NEW_PASSWORD)
    japanese_page.get_by_role("button", name="ユーザーを作成").click()
    expect(japanese_page.get_by_role("alert")).to_contain_text(
        f"{name} というユーザーはすでに存在します。"
    )


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("#/audit", "サインイン"),
        ("#/account", "監査ログを見る"),
        ("#/roles", "自分のアイテムを見る"),
        ("#/roles", "自分のアイテムを管理します"),
        ("#/roles/member", "ロールでできることを変更する"),
    ],
)
def test_names_of_the_service_have_japanese_words(
    japanese_page: Page, address: str, words: str
) -> None:
    """Events of the audit trail and scopes."""
    open_view(japanese_page, address)
    shown = japanese_page.locator("main :is(td, dd, label)")
    expect(shown.filter(has_text=words).first).to_be_visible()


@pytest.mark.parametrize(
    ("locale", "style"),
    [
        ("en-US", r"[A-Z][a-z]{2} \d{1,2}, \d{4}, \d{1,2}:\d\d\s[AP]M"),
        ("en-GB", r"\d{1,2} [A-Z][a-z]{2,3} \d{4}, \d\d:\d\d"),
        ("de-DE", r"\d\d\.\d\d\.\d{4}, \d\d:\d\d"),
        ("ja-JP", r"\d{4}/\d\d/\d\d \d{1,2}:\d\d"),
    ],
)
def test_date_is_written_as_in_the_country_of_the_browser(
    site: Site, new_window: Callable[..., Window], locale: str, style: str
) -> None:
    """Also of a country whose language the console does not have."""
    page = new_window(locale=locale).open(f"{site.url}/console").page
    page.locator("[name=username]").fill(site.create_user())
    page.locator("[name=password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("time").first).to_have_text(re.compile(f"^{style}$"))


@pytest.mark.parametrize(
    ("locale", "typed", "price"),
    [
        ("de-DE", "12,50", "12.50"),
        ("de-DE", "12.50", "12.50"),
        ("de-DE", "1.250,50", "1250.50"),
        ("de-DE", "1.250", "1250"),
        ("fr-FR", "1 250,5", "1250.5"),
        ("de-CH", "1'250.5", "1250.5"),
        ("hi-IN", "12,34,567", "1234567"),
        ("ja-JP", "１，２５０", "1250"),  # noqa: RUF001 - as a Japanese keyboard writes it
        ("en-US", "1,250.50", "1250.50"),
        ("en-US", " 007 ", "7"),
        ("en-US", "12,50", None),
        ("en-US", "1,2,3", None),
        ("en-US", "-1", None),
        ("en-US", "12.", None),
        ("en-US", "", None),
    ],
)
def test_price_is_read_as_in_the_country_of_the_browser(
    site: Site, new_window: Callable[..., Window], locale: str, typed: str, price: str | None
) -> None:
    """Never guessed: a wrong price is worse than a question."""
    page = new_window(locale=locale).open(f"{site.url}/console").page
    assert page.evaluate(PARSE, typed) == price


def test_item_is_created_when_the_price_has_a_decimal_comma(open_in: OpenIn) -> None:
    """The list and the form show it in the same way."""
    page = open_in("de-DE", "member")
    fill_price(page, "12,50")
    expect(page.get_by_role("cell", name=re.compile("12,50"))).to_be_visible()
    page.get_by_role("link", name="Lamp").click()
    expect(page.get_by_label("Price")).to_have_value("12,50")


def test_price_is_explained_when_it_cannot_be_read(site: Site, open_in: OpenIn) -> None:
    """Nothing is sent."""
    page = open_in("en-US", "member")
    fill_price(page, "12,50")
    expect(page.get_by_text("Write a number such as 12.50.")).to_be_visible()
    assert site.proxy.statuses("/items", "POST") == []


def test_nothing_is_saved_when_a_price_with_a_comma_is_unchanged(open_in: OpenIn) -> None:
    """The form shows the stored price in another way."""
    page = open_in("de-DE", "member")
    fill_price(page, "12,50")
    page.get_by_role("link", name="Lamp").click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("No changes.")).to_be_visible()
