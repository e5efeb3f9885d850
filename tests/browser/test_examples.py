"""The SPA guide: its examples run here."""

import re

import pytest
from playwright.sync_api import Page, expect

from itemsapi.problem_list import list_problems
from itemsapi.problems import Challenge
from itemsapi.testing import PASSWORD
from support.browser import PageServer, Site, Window
from support.npm_packages import TESTS, Npm

DOCS = TESTS.parent / "docs"
GUIDE = (DOCS / "spa.md").read_text("utf-8")
CLIENT_CODES = {"network_error", "backing_off", "superseded", "session_changed"}
POLICY = (
    "default-src 'none'; script-src 'self'; img-src data:; connect-src {}; "
    "base-uri 'none'; form-action 'none'"
)


@pytest.fixture
def react(site: Site, npm: Npm, page_server: PageServer) -> str:
    """The URL of the React example, built and served on another host of the same site."""
    source, target = npm.copy(DOCS / "examples" / "react"), page_server.folder / "react"
    options = ["--bundle", "--format=esm", "--minify", "--jsx=automatic"]
    options += [f'--define:import.meta.env.VITE_API_URL="{site.url}"']
    npm.run("esbuild", f"{source}/main.jsx", *options, f"--outfile={target}/main.js")
    (target / "index.html").write_bytes((source / "index.html").read_bytes())
    page_server.policies["/react"] = POLICY.format(site.url)
    return f"{page_server.origin_for('app.house.localhost')}/react/index.html"


@pytest.fixture(params=["plain", "react"])
def example(request: pytest.FixtureRequest, site: Site, window: Window) -> Page:
    """Each example, open in a browser."""
    own = f"{site.url}/example/index.html"
    address = own if request.param == "plain" else request.getfixturevalue("react")
    opened: Page = window.open(address).page
    return opened


@pytest.fixture
def user(site: Site) -> str:
    """A user with one item."""
    name = site.create_user("member")
    client = site.backend.bearer_client(site.backend.login(name)["access_token"])
    assert client.post("/items", json=ITEM).status_code == 201
    return name


ITEM = {"name": "Lamp", "price": "12.50", "currency": "EUR"}


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """Fill in the form and submit it."""
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_items_are_shown_when_the_user_signs_in_and_after_a_reload(
    example: Page, user: str
) -> None:
    """Sign-in, an API call with the token, and the restored session."""
    sign_in(example, user)
    expect(example.get_by_role("listitem")).to_have_text("Lamp: 12.50 EUR")
    example.reload()
    expect(example.get_by_role("listitem")).to_have_text("Lamp: 12.50 EUR")


def test_sign_in_form_is_shown_after_sign_out(example: Page, user: str) -> None:
    """No data of the user remains on the page."""
    sign_in(example, user)
    example.get_by_role("button", name="Sign out").click()
    expect(example.get_by_role("button", name="Sign in")).to_be_visible()
    expect(example.get_by_role("listitem")).to_have_count(0)


def test_reason_is_shown_when_the_password_is_wrong(example: Page, user: str) -> None:
    """The service's message is the same for unknown users."""
    sign_in(example, user, "not the password, I fear")
    expect(example.get_by_role("alert")).to_have_text("Check both and try again.")


@pytest.mark.parametrize("name", ["plain/app.js", "react/main.jsx"])
def test_guide_contains_the_tested_example(name: str) -> None:
    """The guide's code is the code that these tests run."""
    assert (DOCS / "examples" / name).read_text("utf-8") in GUIDE


def test_guide_explains_every_authentication_problem() -> None:
    """It has no code that is never sent."""
    rows = set(re.findall(r"^\| `([a-z_]+)`", GUIDE, re.MULTILINE))
    codes = {problem.code for problem in list_problems()} | CLIENT_CODES
    required_codes = {problem.code for problem in list_problems() if issubclass(problem, Challenge)}
    assert required_codes | CLIENT_CODES <= rows
    assert rows <= codes
