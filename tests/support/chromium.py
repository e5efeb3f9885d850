"""Debian's Chromium with the options that the tests need."""

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
    """Debian's Chromium."""

    def __init__(self, driver: Playwright) -> None:
        """Take the Playwright driver."""
        self._type = driver.chromium

    @contextmanager
    def launched(
        self, *extra_arguments: str, back_forward_cache: bool = False
    ) -> Iterator[Browser]:
        """Run a browser; each of its contexts has an empty profile.

        `back_forward_cache` enables the back-forward cache, which Playwright disables.
        """
        ignored_arguments = ["--disable-back-forward-cache"] if back_forward_cache else []
        browser = self._type.launch(
            executable_path=CHROMIUM,
            args=[*ARGUMENTS, *extra_arguments],
            ignore_default_args=ignored_arguments,
        )
        yield browser
        browser.close()

    @contextmanager
    def launched_with_profile(self, profile: Path) -> Iterator[BrowserContext]:
        """Run a browser with a profile in a folder."""
        context = self._type.launch_persistent_context(
            profile, executable_path=CHROMIUM, args=ARGUMENTS
        )
        yield context
        context.close()
