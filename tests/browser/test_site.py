"""The site of the documents in a real Chromium: nothing from elsewhere, readable on a phone."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from support.browser import PageServer

ROOT = Path(__file__).parents[2]
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site."""
    folder = tmp_path_factory.mktemp("site")
    options = ["-q", "-c", str(ROOT / "docs"), "-d", str(folder / "doctrees")]
    command = [sys.executable, "-m", "sphinx", *options, str(ROOT), str(folder / "html")]
    subprocess.run(command, check=True, capture_output=True, timeout=300)  # noqa: S603
    return folder / "html"


@pytest.fixture(scope="module")
def address(built: Path) -> Iterator[str]:
    """The address of the site."""
    with PageServer(built) as server:
        yield server.origin_for("127.0.0.1")
        server.shutdown()


@contextmanager
def visit(browser: Browser, scheme: str = "light") -> Iterator[Page]:
    """Yield a page on a phone, in light or dark colours."""
    with browser.new_context(viewport=PHONE, color_scheme=scheme) as context:  # type: ignore[arg-type]
        yield context.new_page()


def addresses(built: Path, address: str) -> list[str]:
    """Return the address of each page."""
    return [f"{address}/{page.relative_to(built)}" for page in sorted(built.rglob("*.html"))]


def test_no_page_asks_another_host(browser: Browser, built: Path, address: str) -> None:
    """Neither for fonts and scripts, nor for pictures."""
    with visit(browser) as page:
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        for each in addresses(built, address):
            page.goto(each)
    assert {url for url in requests if not url.startswith((address, "data:"))} == set()


def test_no_page_is_wider_than_a_phone(browser: Browser, built: Path, address: str) -> None:
    """Only tables and programs scroll to the side."""
    wide = []
    with visit(browser) as page:
        for each in addresses(built, address):
            page.goto(each)
            if page.evaluate("document.documentElement.scrollWidth") > PHONE["width"]:
                wide.append(each)
    assert wide == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_site_has_the_colours_of_the_system(
    browser: Browser, address: str, scheme: str
) -> None:
    """Dark text on light, or light on dark."""
    with visit(browser, scheme) as page:
        page.goto(f"{address}/index.html")
        colour = page.evaluate("getComputedStyle(document.body).color")
    brightness = sum(int(part) for part in colour.strip("rgb()").split(","))
    assert (brightness > 3 * 128) == (scheme == "dark")


def test_the_search_finds_a_page(browser: Browser, address: str) -> None:
    """In the index that the site has itself."""
    with visit(browser) as page:
        page.goto(f"{address}/search.html?q=epochs")
        assert page.locator("#search-results li a").first.text_content()
