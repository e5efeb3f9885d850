"""Where a token may be seen: in memory and in an HttpOnly cookie, and nowhere else."""

import json
from pathlib import Path

import pytest

from support.browser import PageWatcher, Site, Tab, Window, print_figure
from support.chromium import Chromium

LOOK = """async () => ({
  local: {...localStorage},
  session: {...sessionStorage},
  databases: await indexedDB.databases(),
  caches: await caches.keys(),
  workers: (await navigator.serviceWorker.getRegistrations()).length,
  cookie: document.cookie,
  name: window.name,
  state: history.state,
  url: location.href,
  referrer: document.referrer,
  text: document.documentElement.outerHTML,
  loaded: performance.getEntries().map((entry) => entry.name),
})"""


@pytest.fixture
def tab(site: Site, window: Window) -> Tab:
    """The application after sign-in, a reload, a refresh and a request."""
    opened = window.spa(site)
    opened.login(site.create_user())
    opened.expect_texts(status="signed-in")
    opened.page.reload()
    opened.expect_texts(status="signed-in")
    opened.evaluate("() => spa.call()")
    return opened


def secrets(tab: Tab) -> list[str]:
    """Return both tokens, and their signatures alone."""
    access = tab.evaluate("() => spa.auth.getToken()")
    (cookie,) = tab.page.context.cookies()
    return [access, cookie.get("value", ""), *(t.split(".")[2] for t in (access, cookie["value"]))]


def test_page_finds_no_token_in_anything_that_lasts(tab: Tab) -> None:
    """S-090: localStorage, sessionStorage, IndexedDB, caches, cookies, addresses, the document."""
    seen = json.dumps(tab.evaluate(LOOK))
    assert [secret for secret in secrets(tab) if secret in seen] == []


def test_storage_holds_one_word_when_the_user_is_signed_in(site: Site, tab: Tab) -> None:
    """The hint that spares guests a request is no secret."""
    seen = tab.evaluate(LOOK)
    assert seen["local"] == {f"itemsapi-auth:{site.url}/": "in"}
    assert (seen["session"], seen["databases"], seen["caches"], seen["cookie"]) == ({}, [], [], "")


def test_history_holds_no_token(tab: Tab) -> None:
    """Neither addresses nor titles; nor any address that was asked for."""
    session = tab.page.context.new_cdp_session(tab.page)
    entries = json.dumps(session.send("Page.getNavigationHistory"))
    assert [secret for secret in secrets(tab) if secret in entries] == []


def test_profile_on_disk_holds_no_token_but_in_the_cookie_jar(
    site: Site, chromium: Chromium, tmp_path: Path
) -> None:
    """S-070: nothing is cached, so a stolen disk holds no access token."""
    with chromium.launched_with_profile(tmp_path) as context:
        tab = Window(context, PageWatcher()).spa(site)
        tab.login(site.create_user())
        tab.page.reload()
        tab.expect_texts(status="signed-in")
        found = [secret.encode() for secret in secrets(tab)]
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    holding = {path.name for path, data in files.items() if any(one in data for one in found)}
    print_figure(
        f"{len(files)} files of the profile searched; holding a token: {holding or 'none'}"
    )
    assert holding <= {"Cookies"}
