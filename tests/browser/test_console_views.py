"""Every view of the console: accessible, whole, and quiet, wide and narrow, light and dark."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from itemsapi.accounts.permissions import COMMAND_LINE
from support.app_factory import PASSWORD
from support.browser import PageWatcher, Site, Window, print_figure
from support.npm_packages import Npm

Scheme = Literal["light", "dark"]
WIDE, NARROW = (1280, 900), (390, 844)
SHOTS = os.environ.get("ITEMSAPI_TEST_SHOTS")  # a folder for pictures, to be looked at
KINDS: list[tuple[tuple[int, int], Scheme, str]] = [(WIDE, "light", "en"), (NARROW, "dark", "ja")]
if SHOTS:
    KINDS += [(WIDE, "dark", "ja"), (NARROW, "light", "en")]
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
}


@pytest.fixture(scope="module")
def ids(running: Site) -> dict[str, str]:
    """An operator with things to look at."""
    client = running.backend.signed_in_client("olivia", "admin")
    lamp = {"price": "12.50", "currency": "EUR", "quantity": 3, "tags": ["office", "light"]}
    names = [
        "Desk lamp",
        "机のランプ",
        "A name that is so long that no phone shows it in one line " * 3,
    ]
    made = [client.post("/items", json={"name": name, **lamp}) for name in names]
    return {"item": made[0].get_json()["id"], "user": running.backend.create_user("paul", "member")}


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go, to be looked at."""
    return Path(SHOTS) if SHOTS else tmp_path_factory.mktemp("shots")


class Survey:
    """A window of one size and colour scheme, in which the views are visited."""

    def __init__(self, window: Window, axe: str, shots: Path, name: str) -> None:
        """Take what is needed to judge a view."""
        self.page = window.context.new_page()
        self.axe, self.shots, self.name = axe, shots, name

    def faults(self, view: str) -> list[tuple[str, str, Any]]:
        """Photograph the view and return what axe finds serious, and what does not fit."""
        self.page.evaluate(self.axe)
        found = self.page.evaluate("() => axe.run()")["violations"]
        self.page.screenshot(path=self.shots / f"{view} {self.name}.png", full_page=True)
        over = self.page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
        grave = [
            (view, one["id"], [node["html"][:90] for node in one["nodes"]])
            for one in found
            if one["impact"] in {"serious", "critical"}
        ]
        return [*grave, *([(view, "wider than the window", over)] if over > 0 else [])]


def options(size: tuple[int, int], scheme: Scheme, locale: str) -> dict[str, Any]:
    """Say what a browser tells a page about itself."""
    viewport = {"width": size[0], "height": size[1]}
    return {"viewport": viewport, "color_scheme": scheme, "locale": locale}


@pytest.fixture(params=KINDS, ids=["-".join((str(size[0]), *rest)) for size, *rest in KINDS])
def survey(
    request: pytest.FixtureRequest, started: Browser, npm: Npm, shots: Path
) -> Iterator[Survey]:
    """A window of each kind; at the end nothing may have been complained about."""
    window = Window(started.new_context(**options(*request.param)), PageWatcher())
    window.watch.attach(window.context)
    name = request.node.callspec.id
    yield Survey(window, npm.text("axe-core/axe.min.js"), shots, name)
    window.context.close()
    assert window.watch.errors == []


def enter(page: Page, name: str = "olivia", password: str = PASSWORD) -> None:
    """Sign in, as the operator if nobody else is named."""
    page.locator("[name=username]").fill(name)
    page.locator("[name=password]").fill(password)
    page.keyboard.press("Enter")


def visit(page: Page, address: str) -> None:
    """Go to a view and wait until it is there; it brings a heading of its own."""
    page.evaluate(
        "(hash) => { document.querySelector('h1')?.remove();"
        " location.hash === hash ? dispatchEvent(new Event('hashchange')) : location.hash = hash }",
        address,
    )
    expect(page.locator("h1")).to_have_count(1)


def overtaken(page: Page, site: Site, item: str) -> None:
    """Change an item in the console after somebody else has done so."""
    visit(page, f"#/items/{item}")
    expect(page.locator("[name=name]")).to_be_visible()
    client = site.backend.bearer_client(site.backend.login("olivia")["access_token"])
    change = {"tags": [], "description": f"Changed at {site.clock()}"}
    client.patch(f"/items/{item}", json=change, headers={"If-Match": "*"})
    page.locator("[name=name]").fill("Desk lamp, black")
    page.locator("form .primary").click()
    expect(page.locator("h2")).to_be_focused()


def test_axe_finds_nothing_serious_in_any_view(
    site: Site, survey: Survey, ids: dict[str, str]
) -> None:
    """Labels, contrast, names and roles; and no view is wider than its window."""
    page = survey.page
    page.goto(f"{site.url}/console")
    expect(page.locator("h1")).to_have_count(1)
    faults = survey.faults("sign-in")
    enter(page)
    expect(page.locator("nav").first).to_be_visible()
    expect(page.locator("h1")).to_be_focused()
    for view, address in VIEWS.items():
        visit(page, address.format(**ids))
        faults += survey.faults(view)
    overtaken(page, site, ids["item"])
    faults += survey.faults("conflict")
    visit(page, VIEWS["item"].format(**ids))
    page.locator("button.danger").click()
    faults += survey.faults("question")
    print_figure(f"{len(VIEWS) + 3} views {survey.name}; pictures in {survey.shots}")
    assert faults == []


def test_axe_finds_nothing_serious_on_the_way_of_a_new_user(site: Site, survey: Survey) -> None:
    """The first password, refused and replaced; an account without a role; too many tries."""
    page, name, made = survey.page, site.create_user(), "a password made for somebody"
    users = site.backend.services.users
    users.set_password(COMMAND_LINE, users.get_by_name(name).id, made, temporary=True)
    page.goto(f"{site.url}/console#/account")
    enter(page, name, made)
    new = page.locator("[name=new_password]")
    expect(new).to_be_focused()
    faults = survey.faults("first password")
    new.fill("short")
    page.keyboard.press("Enter")
    expect(new).to_have_attribute("aria-invalid", "true")
    faults += survey.faults("first password refused")
    page.reload()
    expect(page.locator("[name=current_password]")).to_be_focused()
    faults += survey.faults("first password after a reload")
    page.locator("[name=current_password]").fill(made)
    new.fill("seven quiet geese cross the river")
    page.keyboard.press("Enter")
    expect(page.locator(".notice.good")).to_be_visible()
    faults += survey.faults("password changed")
    visit(page, "#/account")
    faults += survey.faults("account without a role")
    page.locator("header button").click()
    for _ in range(11):
        site.backend.client().post("/auth/login", json={"username": name, "password": made})
    enter(page, name, made)
    expect(page.get_by_role("alert")).to_be_visible()
    faults += survey.faults("too many tries")
    print_figure(f"6 views {survey.name}; pictures in {survey.shots}")
    assert faults == []
