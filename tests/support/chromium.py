"""Debian's Chromium, as the tests start it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Playwright

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Chromium:
    """Debian's Chromium, started as the tests need it."""

    def __init__(self, driver: Playwright) -> None:
        """Take what drives it."""
        self._type = driver.chromium

    @contextmanager
    def launched(self, *more: str, back_forward_cache: bool = False) -> Iterator[Browser]:
        """Run a browser; each context of it has an empty profile.

        `keeping_pages` turns the back-forward cache on, which Playwright turns off.
        """
        without = ["--disable-back-forward-cache"] if back_forward_cache else []
        browser = self._type.launch(
            executable_path=CHROMIUM, args=[*ARGUMENTS, *more], ignore_default_args=without
        )
        yield browser
        browser.close()

    @contextmanager
    def launched_with_profile(self, profile: Path) -> Iterator[BrowserContext]:
        """Run a browser that keeps its profile in a folder."""
        context = self._type.launch_persistent_context(
            profile, executable_path=CHROMIUM, args=ARGUMENTS
        )
        yield context
        context.close()
