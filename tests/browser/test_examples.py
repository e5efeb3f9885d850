"""The guide for developers of SPAs: what it shows is what runs here."""

import re

import pytest
from playwright.sync_api import Page, expect

from itemsapi.problems import Challenge, list_problems
from support.app_factory import PASSWORD
from support.browser import PageServer, Site, Window
from support.npm_packages import TESTS, Npm

DOCS = TESTS.parent / "docs"
GUIDE = (DOCS / "spa.md").read_text("utf-8")
CLIENTS_OWN = {"network_error", "backing_off", "superseded", "session_changed"}
POLICY = (
    "default-src 'none'; script-src 'self'; img-src data:; connect-src {}; "
    "base-uri 'none'; form-action 'none'"
)


@pytest.fixture
def react(site: Site, npm: Npm, elsewhere: PageServer) -> str:
    """The address of the React example, built and served on a sister host of the service."""
    source, target = npm.copy(DOCS / "examples" / "react"), elsewhere.folder / "react"
    options = ["--bundle", "--format=esm", "--minify", "--jsx=automatic"]
    options += [f'--define:import.meta.env.VITE_API_URL="{site.url}"']
    npm.run("esbuild", f"{source}/main.jsx", *options, f"--outfile={target}/main.js")
    (target / "index.html").write_bytes((source / "index.html").read_bytes())
    elsewhere.policies["/react"] = POLICY.format(site.url)
    return f"{elsewhere.origin_for('app.house.localhost')}/react/index.html"


@pytest.fixture(params=["plain", "react"])
def example(request: pytest.FixtureRequest, site: Site, window: Window) -> Page:
    """Each example, open in a browser."""
    own = f"{site.url}/example/index.html"
    address = own if request.param == "plain" else request.getfixturevalue("react")
    opened: Page = window.open(address).page
    return opened


@pytest.fixture
def user(site: Site) -> str:
    """A user who has a lamp."""
    name = site.create_user("member")
    client = site.backend.bearer_client(site.backend.login(name)["access_token"])
    assert client.post("/items", json=LAMP).status_code == 201
    return name


LAMP = {"name": "Lamp", "price": "12.50", "currency": "EUR"}


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """Fill in the form and send it."""
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_items_are_shown_when_the_user_signs_in_and_after_a_reload(
    example: Page, user: str
) -> None:
    """Sign-in, an API call with the token, and the session restored."""
    sign_in(example, user)
    expect(example.get_by_role("listitem")).to_have_text("Lamp: 12.50 EUR")
    example.reload()
    expect(example.get_by_role("listitem")).to_have_text("Lamp: 12.50 EUR")


def test_form_comes_back_when_the_user_signs_out(example: Page, user: str) -> None:
    """Nothing of the user is left on the page."""
    sign_in(example, user)
    example.get_by_role("button", name="Sign out").click()
    expect(example.get_by_role("button", name="Sign in")).to_be_visible()
    expect(example.get_by_role("listitem")).to_have_count(0)


def test_reason_is_told_when_the_password_is_wrong(example: Page, user: str) -> None:
    """The words come from the service, the same for both and for unknown users."""
    sign_in(example, user, "not the password, I fear")
    expect(example.get_by_role("alert")).to_have_text("Check both and try again.")


@pytest.mark.parametrize("name", ["plain/app.js", "react/main.jsx"])
def test_guide_shows_the_example_that_runs(name: str) -> None:
    """What a reader copies is what these tests have run."""
    assert (DOCS / "examples" / name).read_text("utf-8") in GUIDE


def test_guide_explains_every_way_to_be_refused_for_who_one_is() -> None:
    """And it knows no code that nobody sends."""
    rows = set(re.findall(r"^\| `([a-z_]+)`", GUIDE, re.MULTILINE))
    codes = {problem.code for problem in list_problems()} | CLIENTS_OWN
    needed = {problem.code for problem in list_problems() if issubclass(problem, Challenge)}
    assert needed | CLIENTS_OWN <= rows
    assert rows <= codes
