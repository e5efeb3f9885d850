"""The API documentation in a real Chromium, under its strict policy."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from werkzeug.serving import make_server

from support.echo_blueprint import create_echo_app

pytestmark = pytest.mark.browser

# Violations are collected by the page itself, before any of its scripts run.
RECORD_VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(event.violatedDirective + " " + event.blockedURI);
});
"""


@dataclass
class DocsPage:
    """An open page, its console messages and its requests."""

    page: Page
    base_url: str
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running service."""
    app = create_echo_app(tmp_path_factory.mktemp("data"))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def docs_page(browser: Browser, base_url: str) -> DocsPage:
    """The documentation, open and rendered."""
    opened_page = DocsPage(browser.new_page(), base_url)
    opened_page.page.add_init_script(RECORD_VIOLATIONS)
    opened_page.page.on("console", lambda message: opened_page.messages.append(message.text))
    opened_page.page.on("pageerror", lambda error: opened_page.messages.append(str(error)))
    opened_page.page.on("request", lambda request: opened_page.requests.append(request.url))
    opened_page.page.goto(f"{base_url}/docs")
    _heading(opened_page, "Sign in with a user name and a password").wait_for()
    return opened_page


def _heading(docs_page: DocsPage, text: str) -> Locator:
    return docs_page.page.get_by_role("heading", name=text)


def test_docs_cause_no_errors(docs_page: DocsPage) -> None:
    """S-140: neither an error nor a violation of the policy."""
    violations = docs_page.page.evaluate("window.violations")
    assert (docs_page.messages, violations) == ([], [])


def test_docs_request_no_other_host(docs_page: DocsPage) -> None:
    """S-140: zero requests to other hosts."""
    assert [
        url for url in docs_page.requests if not url.startswith((docs_page.base_url, "blob:"))
    ] == []


def test_operations_show_their_scopes(docs_page: DocsPage) -> None:
    """S-080: the documentation shows the scope that a token needs."""
    section = docs_page.page.locator("[data-section-id$='change_echo']").first
    expect(section).to_contain_text("items:write")


def test_operation_is_found_by_search(docs_page: DocsPage) -> None:
    """The search runs in a worker made from a blob, which the policy allows."""
    docs_page.page.get_by_placeholder("Search...").fill("change what was")
    results = docs_page.page.locator("[data-role='search:results']")
    results.wait_for()  # the index is built meanwhile
    expect(results).to_contain_text("Change what was said")


def test_problem_is_shown_at_its_type_url(browser: Browser, base_url: str) -> None:
    """The `type` of a problem response is the URL of its description."""
    page = browser.new_page()
    page.goto(f"{base_url}/docs/problems#csrf")
    expect(page.locator("#csrf")).to_be_in_viewport()
