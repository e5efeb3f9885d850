"""All views of the console: accessible, without errors, wide and narrow, light and dark."""

import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, Literal, get_args

import pytest
from playwright.sync_api import Browser, Page, expect

from itemsapi.accounts.models import COMMAND_LINE
from itemsapi.testing import PASSWORD
from support.browser import PageWatcher, Site, Window, print_figure
from support.npm_packages import Npm

Scheme = Literal["light", "dark"]
WIDE, NARROW = (1280, 900), (390, 844)
SCREENSHOT_FOLDER = os.environ.get("ITEMSAPI_TEST_SHOTS")  # a folder for screenshots
WINDOW_KINDS: list[tuple[tuple[int, int], Scheme, str]] = [
    (WIDE, "light", "en"),
    (NARROW, "dark", "ja"),
]
if SCREENSHOT_FOLDER:
    WINDOW_KINDS = [*product((WIDE, NARROW), get_args(Scheme), ("en", "ja"))]
VIEWS = {
    "items": "#/items",
    "items filtered": "#/items?q=nothing+like+this",
    "new item": "#/items/new",
    "item": "#/items/{item}",
    "sessions": "#/sessions",
    "account": "#/account",
    "users": "#/users",
    "new user": "#/users/new",
    "user": "#/users/{user}",
    "roles": "#/roles",
    "new role": "#/roles/new",
    "role": "#/roles/member",
    "audit": "#/audit",
    "audit filtered": "#/audit?event=authn_login_success&user=paul",
}


@pytest.fixture(scope="module")
def ids(shared_site: Site) -> dict[str, str]:
    """An operator, items and users to show."""
    client = shared_site.backend.signed_in_client("olivia", "admin")
    lamp = {"price": "12.50", "currency": "EUR", "quantity": 3, "tags": ["office", "light"]}
    names = [
        "Desk lamp",
        "机のランプ",
        "A name that is so long that no phone shows it in one line " * 3,
    ]
    made = [client.post("/items", json={"name": name, **lamp}) for name in names]
    return {
        "item": made[0].get_json()["id"],
        "user": shared_site.backend.create_user("paul", "member"),
    }


@pytest.fixture(scope="module")
def screenshot_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the screenshots."""
    return Path(SCREENSHOT_FOLDER) if SCREENSHOT_FOLDER else tmp_path_factory.mktemp("shots")


class Survey:
    """A window of one size and colour scheme, in which the views are checked."""

    def __init__(self, window: Window, axe: str, screenshot_folder: Path, name: str) -> None:
        """Take the window, the axe script and the folder of the screenshots."""
        self.page = window.context.new_page()
        self.axe, self.screenshot_folder, self.name = axe, screenshot_folder, name

    def violations(self, view: str) -> list[tuple[str, str, Any]]:
        """Take a screenshot; return axe's serious violations, and horizontal overflow."""
        self.page.evaluate(self.axe)
        found = self.page.evaluate("() => axe.run()")["violations"]
        self.page.screenshot(
            path=self.screenshot_folder / f"{view} {self.name}.png", full_page=True
        )
        overflow = self.page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
        serious = [
            (view, one["id"], [node["html"][:90] for node in one["nodes"]])
            for one in found
            if one["impact"] in {"serious", "critical"}
        ]
        return [*serious, *([(view, "wider than the window", overflow)] if overflow > 0 else [])]


def context_options(size: tuple[int, int], scheme: Scheme, locale: str) -> dict[str, Any]:
    """Return the options of a browser context."""
    viewport = {"width": size[0], "height": size[1]}
    return {"viewport": viewport, "color_scheme": scheme, "locale": locale}


@pytest.fixture(
    params=WINDOW_KINDS, ids=["-".join((str(size[0]), *rest)) for size, *rest in WINDOW_KINDS]
)
def survey(
    request: pytest.FixtureRequest, browser: Browser, npm: Npm, screenshot_folder: Path
) -> Iterator[Survey]:
    """A window of each kind; at the end no page may have reported an error."""
    window = Window(browser.new_context(**context_options(*request.param)), PageWatcher())
    window.watch.attach(window.context)
    name = request.node.callspec.id
    yield Survey(window, npm.text("axe-core/axe.min.js"), screenshot_folder, name)
    window.context.close()
    assert window.watch.errors == []


def sign_in_as(page: Page, name: str = "olivia", password: str = PASSWORD) -> None:
    """Sign in, by default as the operator."""
    page.locator("[name=username]").fill(name)
    page.locator("[name=password]").fill(password)
    page.keyboard.press("Enter")


def open_view(page: Page, address: str) -> None:
    """Open a view and wait for its heading."""
    page.evaluate(
        "(hash) => { document.querySelector('h1')?.remove();"
        " location.hash === hash ? dispatchEvent(new Event('hashchange')) : location.hash = hash }",
        address,
    )
    expect(page.locator("h1")).to_have_count(1)


def cause_conflict(page: Page, site: Site, item: str) -> None:
    """Change an item in the console after somebody else has changed it."""
    open_view(page, f"#/items/{item}")
    expect(page.locator("[name=name]")).to_be_visible()
    client = site.backend.bearer_client(site.backend.login("olivia")["access_token"])
    change = {"tags": [], "description": f"Changed at {site.clock()}"}
    client.patch(f"/items/{item}", json=change, headers={"If-Match": "*"})
    page.locator("[name=name]").fill("Desk lamp, black")
    page.locator("form .primary").click()
    expect(page.locator("h2")).to_be_focused()


def test_no_view_has_serious_accessibility_violations(
    site: Site, survey: Survey, ids: dict[str, str]
) -> None:
    """Labels, contrast, names and roles; and no view is wider than its window."""
    page = survey.page
    page.goto(f"{site.url}/console")
    expect(page.locator("h1")).to_have_count(1)
    violations = survey.violations("sign-in")
    sign_in_as(page)
    expect(page.locator("nav").first).to_be_visible()
    expect(page.locator("h1")).to_be_focused()
    for view, address in VIEWS.items():
        open_view(page, address.format(**ids))
        violations += survey.violations(view)
    cause_conflict(page, site, ids["item"])
    violations += survey.violations("conflict")
    open_view(page, VIEWS["item"].format(**ids))
    page.locator("button.danger").click()
    violations += survey.violations("question")
    print_figure(f"{len(VIEWS) + 3} views {survey.name}; pictures in {survey.screenshot_folder}")
    assert violations == []


def test_views_of_a_new_user_have_no_serious_accessibility_violations(
    site: Site, survey: Survey
) -> None:
    """The temporary password, rejected and replaced; a user without roles; too many attempts."""
    page, name, made = survey.page, site.create_user(), "a password made for somebody"
    users = site.backend.services.users
    users.set_password(COMMAND_LINE, users.get_by_name(name).id, made, temporary=True)
    page.goto(f"{site.url}/console#/account")
    sign_in_as(page, name, made)
    new = page.locator("[name=new_password]")
    expect(new).to_be_focused()
    violations = survey.violations("first password")
    new.fill("short")
    page.keyboard.press("Enter")
    expect(new).to_have_attribute("aria-invalid", "true")
    violations += survey.violations("first password rejected")
    page.reload()
    expect(page.locator("[name=current_password]")).to_be_focused()
    violations += survey.violations("first password after a reload")
    page.locator("[name=current_password]").fill(made)
    new.fill("seven quiet geese cross the river")
    page.keyboard.press("Enter")
    expect(page.locator(".notice.good")).to_be_visible()
    violations += survey.violations("password changed")
    open_view(page, "#/account")
    violations += survey.violations("account without a role")
    page.locator("header button").click()
    for _ in range(11):
        site.backend.client().post("/auth/login", json={"username": name, "password": made})
    sign_in_as(page, name, made)
    expect(page.get_by_role("alert")).to_be_visible()
    violations += survey.violations("too many attempts")
    print_figure(f"6 views {survey.name}; pictures in {survey.screenshot_folder}")
    assert violations == []
