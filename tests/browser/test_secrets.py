"""Tokens exist only in memory and in an HttpOnly cookie."""

import json
from pathlib import Path

import pytest

from support.browser import PageWatcher, Site, Tab, Window, print_figure
from support.chromium import Chromium

READ_ALL_STORAGE = """async () => ({
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


def token_values(tab: Tab) -> list[str]:
    """Return both tokens, and their signatures alone."""
    access = tab.evaluate("() => spa.auth.getToken()")
    (cookie,) = tab.page.context.cookies()
    return [access, cookie.get("value", ""), *(t.split(".")[2] for t in (access, cookie["value"]))]


def test_no_token_is_in_any_storage(tab: Tab) -> None:
    """S-090: localStorage, sessionStorage, IndexedDB, caches, cookies, URLs, the document."""
    storage = json.dumps(tab.evaluate(READ_ALL_STORAGE))
    assert [secret for secret in token_values(tab) if secret in storage] == []


def test_storage_has_only_the_hint_when_the_user_is_signed_in(site: Site, tab: Tab) -> None:
    """The hint, which avoids a request when signed out, is no secret."""
    storage = tab.evaluate(READ_ALL_STORAGE)
    assert storage["local"] == {f"itemsapi-auth:{site.url}/": "in"}
    assert (storage["session"], storage["databases"], storage["caches"], storage["cookie"]) == (
        {},
        [],
        [],
        "",
    )


def test_history_has_no_token(tab: Tab) -> None:
    """Neither URLs nor titles contain one."""
    session = tab.page.context.new_cdp_session(tab.page)
    entries = json.dumps(session.send("Page.getNavigationHistory"))
    assert [secret for secret in token_values(tab) if secret in entries] == []


def test_profile_on_disk_has_tokens_only_in_the_cookie_store(
    site: Site, chromium: Chromium, tmp_path: Path
) -> None:
    """S-070: nothing is cached, so a stolen disk has no access token."""
    with chromium.launched_with_profile(tmp_path) as context:
        tab = Window(context, PageWatcher()).spa(site)
        tab.login(site.create_user())
        tab.page.reload()
        tab.expect_texts(status="signed-in")
        found = [secret.encode() for secret in token_values(tab)]
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    files_with_token = {
        path.name for path, data in files.items() if any(one in data for one in found)
    }
    print_figure(
        f"{len(files)} files of the profile searched; holding a token: {files_with_token or 'none'}"
    )
    assert files_with_token <= {"Cookies"}
