"""The documentation in a real Chromium, under its strict policy."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from werkzeug.serving import make_server

from support.echo_blueprint import create_echo_app

pytestmark = pytest.mark.browser

# Violations are collected by the page itself, before any of its scripts run.
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(event.violatedDirective + " " + event.blockedURI);
});
"""


@dataclass
class Visit:
    """A page that was opened, and what happened in it."""

    page: Page
    home: str
    told: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running service."""
    app = create_echo_app(tmp_path_factory.mktemp("data"))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def visit(started: Browser, home: str) -> Visit:
    """The documentation, open and rendered."""
    made = Visit(started.new_page(), home)
    made.page.add_init_script(WATCH)
    made.page.on("console", lambda message: made.told.append(message.text))
    made.page.on("pageerror", lambda error: made.told.append(str(error)))
    made.page.on("request", lambda request: made.asked.append(request.url))
    made.page.goto(f"{home}/docs")
    _heading(made, "Sign in with a name and a password").wait_for()
    return made


def _heading(visit: Visit, text: str) -> Locator:
    return visit.page.get_by_role("heading", name=text)


def test_nothing_is_complained_about_when_the_docs_are_read(visit: Visit) -> None:
    """S-140: neither an error nor a violation of the policy."""
    violations = visit.page.evaluate("window.violations")
    assert (visit.told, violations) == ([], [])


def test_nothing_foreign_is_asked_when_the_docs_are_read(visit: Visit) -> None:
    """S-140: zero requests to other hosts."""
    assert [url for url in visit.asked if not url.startswith((visit.home, "blob:"))] == []


def test_scopes_are_visible_on_operations(visit: Visit) -> None:
    """S-080: who reads the docs sees what a token needs."""
    section = visit.page.locator("[data-section-id$='change_echo']").first
    expect(section).to_contain_text("items:write")


def test_operation_is_found_when_searched_for(visit: Visit) -> None:
    """The search runs in a worker made of a blob, which the policy lets through."""
    visit.page.get_by_placeholder("Search...").fill("change what was")
    results = visit.page.locator("[data-role='search:results']")
    expect(results).to_contain_text("Change what was said")


def test_problem_is_shown_when_its_address_is_followed(started: Browser, home: str) -> None:
    """`type` of an answer leads to its words."""
    page = started.new_page()
    page.goto(f"{home}/docs/problems#csrf")
    expect(page.locator("#csrf")).to_be_in_viewport()
