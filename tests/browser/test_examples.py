"""The SPA guide: its examples compile under strict checks and run here."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from itemsapi.problem_list import list_problems
from itemsapi.problems import Challenge
from itemsapi.testing import PASSWORD
from support.browser import PageServer, Site, Tab, Window, wait_until
from support.npm_packages import TESTS, Npm

DOCS = TESTS.parent / "docs"
EXAMPLES = DOCS / "examples"
GUIDE = (DOCS / "spa.md").read_text("utf-8")
CLIENT_CODES = {
    "network_error",
    "backing_off",
    "superseded",
    "session_changed",
    "cookie_not_kept",
    "http_error",
}
TYPE_CHECKERS = {
    "react": ("tsc", "-p"),
    "query": ("tsc", "-p"),
    "ssr": ("tsc", "-p"),
    "vue": ("vue-tsc", "-p"),
    "svelte": ("svelte-check", "--fail-on-warnings", "--tsconfig"),
}
APP_HOST = "app.house.localhost"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src {}; "
    "base-uri 'none'; form-action 'none'"
)
ITEM = {"name": "Lamp", "price": "12.50", "currency": "EUR"}
Build = Callable[[str], str]


def copy_example(npm: Npm, name: str, api_url: str = "") -> Path:
    """Copy an example beside the packages, with the settings of the project."""
    folder = npm.copy(EXAMPLES / name)
    (folder / ".env").write_text(f"VITE_API_URL={api_url}\n", "utf-8")
    project = {"extends": "../tsconfig.json", "include": ["**/*"]}
    (folder / "tsconfig.json").write_text(json.dumps(project), "utf-8")
    return folder


@pytest.fixture(scope="module")
def build(shared_site: Site, npm: Npm, page_server: PageServer) -> Build:
    """Build an example for the page server, once; return its URL, of the API's site."""
    built: dict[str, str] = {}

    def url_of(name: str) -> str:
        if name not in built:
            source, target = copy_example(npm, name, shared_site.url), page_server.folder / name
            options = ["--config", f"{npm.folder}/vite.config.js", "--outDir", str(target)]
            npm.run("vite", "build", str(source), *options)
            page_server.policies[f"/{name}"] = POLICY.format(shared_site.url)
            built[name] = f"{page_server.origin_for(APP_HOST)}/{name}/index.html"
        return built[name]

    return url_of


@pytest.fixture(params=["plain", "react", "query", "vue", "svelte"])
def address(request: pytest.FixtureRequest, site: Site) -> str:
    """The URL of each example."""
    if request.param == "plain":
        return f"{site.url}/example/index.html"
    built: Build = request.getfixturevalue("build")
    return built(request.param)


@pytest.fixture
def example(window: Window, address: str) -> Page:
    """Each example, open in a browser."""
    return window.open(address).page


@pytest.fixture
def user(site: Site) -> str:
    """A user with one item."""
    return create_user_with_item(site, "Lamp")


def create_user_with_item(site: Site, item: str) -> str:
    """Create a user with one item; return the name of the user."""
    name = site.create_user("member")
    client = site.backend.bearer_client(site.backend.login(name)["access_token"])
    assert client.post("/items", json=ITEM | {"name": item}).status_code == 201
    return name


def open_neighbour(window: Window, site: Site, address: str) -> Tab:
    """Open the test page in another tab, of the same origin as the example."""
    origin = "/".join(address.split("/")[:3])
    page = f"{origin}/test/spa.html" if origin == site.url else f"{origin}/spa.html"
    tab = window.open(f"{page}?api={site.url}")
    expect(tab.page.locator("#status")).not_to_have_text("loading")
    return tab


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """Fill in the form and submit it."""
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def expect_signed_in(page: Page, name: str, item: str = "Lamp") -> None:
    """Wait until the page shows the user and their only item."""
    expect(page.get_by_text(f"Signed in as {name}")).to_be_visible()
    expect(page.get_by_role("listitem")).to_have_text([f"{item}: 12.50 EUR"])


@pytest.mark.parametrize("name", list(TYPE_CHECKERS))
def test_example_has_no_type_error(npm: Npm, name: str) -> None:
    """TypeScript under `strict`, as its framework checks it."""
    npm.run(*TYPE_CHECKERS[name], str(copy_example(npm, name) / "tsconfig.json"))


def test_items_are_shown_when_the_user_signs_in_and_after_a_reload(
    example: Page, user: str
) -> None:
    """Sign-in, an API call with the token, and the restored session."""
    sign_in(example, user)
    expect_signed_in(example, user)
    example.reload()
    expect_signed_in(example, user)


def test_sign_in_form_is_shown_after_sign_out(example: Page, user: str) -> None:
    """No data of the user remains on the page."""
    sign_in(example, user)
    example.get_by_role("button", name="Sign out").click()
    expect(example.get_by_role("button", name="Sign in")).to_be_visible()
    expect(example.get_by_role("listitem")).to_have_count(0)


def test_reason_is_shown_when_the_password_is_wrong(example: Page, user: str) -> None:
    """The service's message is the same for unknown users; it says what is wrong, and the code."""
    sign_in(example, user, "not the password, I fear")
    expect(example.get_by_role("alert")).to_have_text(
        "User name or password is wrong. "
        "Check the user name and the password, and try again. (invalid_credentials)"
    )


def test_only_the_second_user_is_shown_when_they_sign_in_in_another_tab(
    site: Site, window: Window, address: str, user: str
) -> None:
    """Nothing of the first user remains, although the page was not reloaded."""
    second = create_user_with_item(site, "Chair")
    neighbour = open_neighbour(window, site, address)
    neighbour.login(user)
    page = window.open(address).page
    expect_signed_in(page, user)
    neighbour.login(second)
    expect_signed_in(page, second, "Chair")


def test_page_says_so_and_recovers_when_the_service_is_away_at_the_start(
    site: Site, window: Window, address: str, user: str
) -> None:
    """It does not stay at "One moment", and the user need not reload it."""
    page = window.open(address).page
    sign_in(page, user)
    expect_signed_in(page, user)
    site.proxy.cut("/auth/refresh", "request", times=1000)
    page.reload()
    expect(page.get_by_text("The service is away")).to_be_visible()
    site.proxy.repair()
    expect_signed_in(page, user)


def test_user_is_signed_in_at_once_when_the_button_asks_for_it(
    build: Build, site: Site, window: Window, user: str
) -> None:
    """The pause before the next attempt, here endless, is for the page and not for its user."""
    window.context.clock.install(time=site.clock())
    page = window.open(build("react")).page
    sign_in(page, user)
    expect_signed_in(page, user)
    window.context.clock.pause_at(site.clock() + timedelta(minutes=1))
    site.proxy.cut("/auth/refresh", "request", times=1000)
    page.reload()
    expect(page.get_by_role("button", name="Try now")).to_be_visible()
    site.proxy.repair()
    page.get_by_role("button", name="Try now").click()
    expect_signed_in(page, user)


def printed_port(output: Path) -> str:
    """Wait until Vite has printed its address; return the port, which it has chosen itself."""
    address = re.compile(r"Local: +http://127\.0\.0\.1:(\d+)/")
    wait_until(lambda: address.search(output.read_text("utf-8")), seconds=60)
    (port,) = set(address.findall(output.read_text("utf-8")))
    return str(port)


@pytest.fixture
def development_address(npm: Npm, site: Site) -> Iterator[str]:
    """An example on Vite's development server, with the proxy of the guide; return its URL."""
    folder = copy_example(npm, "react")
    (proxy,) = re.findall(r"`(server: \{ proxy: .*? \})` in `vite.config.ts`", GUIDE)
    proxy = proxy.replace("localhost:8000", f"127.0.0.1:{site.proxy.port}")
    (folder / "vite.config.ts").write_text(f"export default {{ {proxy} }};", "utf-8")
    options = ["--config", f"{folder}/vite.config.ts", "--host=127.0.0.1"]
    with npm.running("vite", str(folder), *options) as output:
        yield f"http://localhost:{printed_port(output)}/"


def test_user_stays_signed_in_behind_the_proxy_of_a_development_server(
    window: Window, development_address: str, user: str
) -> None:
    """Without a setting: for the browser, page and API have one origin, which no list has."""
    page = window.open(development_address).page
    sign_in(page, user)
    expect_signed_in(page, user)
    page.reload()
    expect_signed_in(page, user)


def test_each_field_shows_its_error_when_a_value_is_invalid(
    build: Build, window: Window, user: str
) -> None:
    """The message of the service is beside its field, and is read out with it."""
    page = window.open(build("query")).page
    sign_in(page, user)
    page.get_by_label("Name", exact=True).fill("Chair")
    page.get_by_label("Price").fill("cheap")
    page.get_by_role("button", name="Add").click()
    price = page.get_by_label("Price")
    expect(price).to_have_attribute("aria-invalid", "true")
    expect(price).to_have_accessible_description(re.compile("Not a price"))
    expect(page.get_by_label("Name", exact=True)).to_have_attribute("aria-invalid", "false")


def test_list_is_current_when_an_item_was_added(build: Build, window: Window, user: str) -> None:
    """The mutation invalidates the query."""
    page = window.open(build("query")).page
    sign_in(page, user)
    for label, value in (("Name", "Chair"), ("Price", "49.00"), ("Currency", "EUR")):
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_text("Chair: 49.00 EUR")).to_be_visible()


def test_other_device_is_signed_out_when_its_button_is_clicked(
    build: Build, site: Site, window: Window, user: str
) -> None:
    """S-125: the list of sessions, with an end for each but the current one."""
    site.backend.login(user, device="Kitchen tablet")
    page = window.open(build("query")).page
    sign_in(page, user)
    entry = page.get_by_role("paragraph").filter(has_text="Kitchen tablet")
    entry.get_by_role("button", name="End").click()
    expect(entry).to_have_count(0)


@pytest.fixture
def rendered(build: Build, npm: Npm, page_server: PageServer) -> str:
    """The example of server-side rendering, rendered by Node; return its URL."""
    address, target = build("ssr"), page_server.folder / "ssr" / "index.html"
    options = ["--config", f"{npm.folder}/vite.config.js", "--outDir", f"{npm.folder}/ssr-server"]
    npm.run("vite", "build", f"{npm.folder}/ssr", *options, "--ssr", "server.tsx")
    imported = "import { render } from './ssr-server/server.js';"
    page = json.dumps(target.read_text("utf-8"))
    target.write_text(npm.node(f"{imported} process.stdout.write(render({page}))"), "utf-8")
    return address


def test_server_renders_no_user(rendered: str, page_server: PageServer) -> None:
    """It has no cookie; and its process has ended, although the client was created."""
    assert "<p>One moment</p>" in (page_server.folder / "ssr" / "index.html").read_text("utf-8")


def test_rendered_page_shows_the_user_in_the_browser(
    site: Site, window: Window, rendered: str, user: str
) -> None:
    """Hydration reports no difference, and the session is restored."""
    open_neighbour(window, site, rendered).login(user)
    page = window.open(rendered).page
    expect(page.get_by_text(f"Signed in as {user}")).to_be_visible()


@pytest.mark.parametrize(
    "path",
    [
        "plain/app.js",
        "react/main.tsx",
        "query/main.tsx",
        "vue/auth.ts",
        "vue/App.vue",
        "svelte/auth.ts",
        "svelte/App.svelte",
        "ssr/app.tsx",
        "ssr/server.tsx",
        "ssr/client.tsx",
    ],
)
def test_guide_contains_the_tested_example(path: str) -> None:
    """The guide's code is the code that these tests run."""
    assert (EXAMPLES / path).read_text("utf-8") in GUIDE


def test_guide_explains_every_authentication_problem() -> None:
    """It has no code that is never sent."""
    rows = set(re.findall(r"^\| `([a-z_]+)`", GUIDE, re.MULTILINE))
    codes = {problem.code for problem in list_problems()} | CLIENT_CODES
    required_codes = {problem.code for problem in list_problems() if issubclass(problem, Challenge)}
    assert required_codes | CLIENT_CODES <= rows
    assert rows <= codes
