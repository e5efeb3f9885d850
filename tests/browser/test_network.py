"""The three kinds of browser client: same origin, same site, and cross site."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from itemsapi.issuer.sessions import list_open_sessions
from itemsapi.testing import PASSWORD
from support.browser import (
    PageServer,
    PageWatcher,
    Site,
    Tab,
    Window,
    running_site,
    wait_until,
)
from support.chromium import Chromium

COOKIE = "__Host-Http-itemsapi_rt"
CLIENT_HOSTS = {"own": "", "same site": "app.house.localhost", "another site": "partner.localhost"}


@pytest.fixture(params=list(CLIENT_HOSTS))
def address(request: pytest.FixtureRequest, site: Site, page_server: PageServer) -> str:
    """The URL of the page, for each kind of client."""
    if not CLIENT_HOSTS[request.param]:
        return f"{site.url}/test/spa.html"
    return f"{page_server.origin_for(CLIENT_HOSTS[request.param])}/spa.html?api={site.url}"


def open_signed_out(window: Window, address: str) -> Tab:
    """Open the application and wait until it knows that nobody is signed in."""
    opened = window.open(address)
    opened.expect_texts(status="signed-out")
    return opened


@pytest.fixture
def tab(site: Site, window: Window, address: str) -> Tab:
    """The application in a tab, with a signed-in user."""
    opened = open_signed_out(window, address)
    opened.login(site.create_user())
    opened.expect_texts(status="signed-in")
    return opened


def test_user_is_still_signed_in_when_the_page_is_reloaded(tab: Tab) -> None:
    """S-090: the cookie is sent to refresh from each kind of page."""
    session = tab.read_text("session")
    tab.page.reload()
    tab.expect_texts(status="signed-in", session=session)
    assert tab.evaluate("() => spa.call()") == 200


def test_user_stays_signed_out_after_sign_out(tab: Tab) -> None:
    """The cookie is deleted."""
    assert tab.evaluate("() => spa.logout()") is None
    tab.page.reload()
    tab.expect_texts(status="signed-out")
    assert tab.page.context.cookies() == []


def test_user_is_still_signed_in_when_the_password_was_changed(tab: Tab) -> None:
    """The response's cookie is stored for each kind of page, and its access token is used."""
    session = tab.read_text("session")
    assert tab.change_password("seven quiet geese cross the river") is None
    assert tab.evaluate("() => spa.call()") == 200
    tab.page.reload()
    tab.expect_texts(status="signed-in", session=session)


def test_page_reads_the_errors_when_the_new_password_is_invalid(tab: Tab) -> None:
    """S-093: the response is readable for each kind of page, with the names of the fields."""
    script = (
        "(current) => spa.auth.changePassword({ currentPassword: current, newPassword: 'short' })"
        ".catch(({ status, problem }) => [status, problem.errors.map(({ field }) => field)])"
    )
    assert tab.evaluate(script, PASSWORD) == [422, ["new_password"]]
    assert tab.evaluate("() => spa.call()") == 200


def test_page_reads_the_error_when_a_url_does_not_exist(tab: Tab) -> None:
    """S-093: errors carry the CORS headers too, and no preflight blocks them."""
    script = "(path) => spa.auth.fetch(path).then(async (a) => [a.status, (await a.json()).code])"
    assert tab.evaluate(script, "/nowhere") == [404, "not_found"]


def test_page_reads_the_challenge_when_it_sends_no_token(tab: Tab) -> None:
    """S-093: the headers that a client needs are exposed."""
    script = "() => fetch(`${api}/auth/sessions`).then((a) => a.headers.get('WWW-Authenticate'))"
    assert "Bearer" in tab.evaluate(script)


def test_cookie_is_partitioned_when_the_page_is_on_another_site(
    site: Site, window: Window, page_server: PageServer
) -> None:
    """S-090: otherwise the same cookie is SameSite=Strict; both are HttpOnly and Secure."""
    cross_site_tab = open_signed_out(
        window, f"{page_server.origin_for('partner.localhost')}/spa.html?api={site.url}"
    )
    cross_site_tab.login(site.create_user())
    (cookie,) = window.context.cookies()
    what = {name: cookie.get(name) for name in ("name", "httpOnly", "secure", "sameSite", "path")}
    assert what == {
        "name": COOKIE,
        "httpOnly": True,
        "secure": True,
        "sameSite": "None",
        "path": "/",
    }
    assert "partner.localhost" in str(cookie.get("partitionKey"))


def test_pages_of_two_origins_stay_signed_in_when_they_wake_up_at_once(
    site: Site, window: Window, page_server: PageServer
) -> None:
    """They share the cookie but neither locks nor channels: one gets it, both get a token."""
    window.context.clock.install()
    sister = f"{page_server.origin_for('app.house.localhost')}/spa.html?api={site.url}"
    tabs = [window.spa(site), open_signed_out(window, sister)]
    tabs[0].login(site.create_user())
    tabs[0].expect_texts(status="signed-in")
    tabs[1].evaluate("() => spa.auth.restore({ force: true })")
    for _ in range(5):
        site.clock.advance(hours=1)
        window.context.clock.fast_forward(60 * 60 * 1000)
        for tab in tabs:
            tab.evaluate("() => void (globalThis.late = spa.several(3))")
        assert Counter(code for tab in tabs for code in tab.evaluate("() => late")) == {200: 6}
    assert set(site.proxy.statuses("/auth/refresh", "POST")) == {200}


def test_user_is_still_signed_in_on_another_site_when_third_party_cookies_are_blocked(
    site: Site, chromium: Chromium, page_server: PageServer
) -> None:
    """Browsers keep partitioned cookies for a page of another site."""
    with chromium.launched("--test-third-party-cookie-phaseout") as browser:
        cross_site_tab = Window(browser.new_context(), PageWatcher())
        tab = open_signed_out(
            cross_site_tab, f"{page_server.origin_for('partner.localhost')}/spa.html?api={site.url}"
        )
        tab.login(site.create_user())
        tab.page.reload()
        tab.expect_texts(status="signed-in")


def test_sign_in_is_rejected_when_another_site_is_listed_as_an_allowed_origin_only(
    window: Window, site: Site, page_server: PageServer
) -> None:
    """The browser would drop the cookie; the message names the setting to add."""
    url = f"{page_server.origin_for('half.localhost')}/spa.html?api={site.url}"
    tab = open_signed_out(window, url)
    script = "(name) => spa.auth.login({ username: name, password: 'x' }).catch((e) => e.message)"
    assert "ITEMSAPI_CROSS_SITE_ORIGINS" in tab.evaluate(script, site.create_user())
    assert window.context.cookies() == []


def test_sign_in_is_rejected_when_the_browser_blocks_cookies(
    site: Site, chromium: Chromium, tmp_path: Path
) -> None:
    """The user is told at once, not after the ten minutes of the access token."""
    blocked = {"profile": {"default_content_setting_values": {"cookies": 2}}}
    (tmp_path / "Default").mkdir()
    (tmp_path / "Default" / "Preferences").write_text(json.dumps(blocked), "utf-8")
    user = site.create_user()
    with chromium.launched_with_profile(tmp_path) as context:
        tab = Window(context, PageWatcher()).spa(site, first="yes")
        assert tab.login(user) == "cookie_not_kept"
        tab.expect_texts(status="signed-out")
    assert list_open_sessions(site.backend.services.issuer, site.ids[user]) == []


@pytest.fixture
def fresh_site(tmp_path: Path, sqlite_template: Path) -> Iterator[Site]:
    """A service of which no other test has used up the first origins, which alone are reported."""
    shutil.copy(sqlite_template, tmp_path / "itemsapi.db")
    with running_site(tmp_path, {}, workers=1) as site:
        yield site


def test_log_of_the_service_names_the_setting_when_the_browser_blocks_a_page(
    fresh_site: Site, browser: Browser, page_server: PageServer
) -> None:
    """The page itself learns nothing: not even the client is loaded."""
    origin = page_server.origin_for("unlisted.localhost")
    with browser.new_context() as context:
        context.new_page().goto(f"{origin}/spa.html?api={fresh_site.url}")
        line = f"origin_not_listed origin={origin} advice="
        wait_until(lambda: line in (fresh_site.folder / "log").read_text("utf-8"))
