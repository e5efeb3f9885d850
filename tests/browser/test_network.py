"""The three kinds of browser client: on the service's own origin, on its site, on another site."""

from collections import Counter

import pytest

from support.app_factory import PASSWORD
from support.browser import PageServer, PageWatcher, Site, Tab, Window
from support.chromium import Chromium

COOKIE = "__Host-Http-itemsapi_rt"
KINDS = {"own": "", "same site": "app.house.localhost", "another site": "partner.localhost"}


@pytest.fixture(params=list(KINDS))
def address(request: pytest.FixtureRequest, site: Site, elsewhere: PageServer) -> str:
    """Where the page is, for each kind of client."""
    if not KINDS[request.param]:
        return f"{site.url}/test/spa.html"
    return f"{elsewhere.origin_for(KINDS[request.param])}/spa.html?api={site.url}"


def guest(window: Window, address: str) -> Tab:
    """Open the application and wait until it knows that nobody is signed in."""
    opened = window.open(address)
    opened.expect_texts(status="signed-out")
    return opened


@pytest.fixture
def tab(site: Site, window: Window, address: str) -> Tab:
    """The application in a tab, with a user signed in."""
    opened = guest(window, address)
    opened.login(site.create_user())
    opened.expect_texts(status="signed-in")
    return opened


def test_user_is_still_signed_in_when_the_page_is_reloaded(tab: Tab) -> None:
    """S-090: the cookie reaches refresh from each kind of page."""
    session = tab.read_text("session")
    tab.page.reload()
    tab.expect_texts(status="signed-in", session=session)
    assert tab.evaluate("() => spa.call()") == 200


def test_user_is_signed_out_for_good_when_the_page_says_so(tab: Tab) -> None:
    """The cookie is taken away from where it was put."""
    assert tab.evaluate("() => spa.logout()") is None
    tab.page.reload()
    tab.expect_texts(status="signed-out")
    assert tab.page.context.cookies() == []


def test_user_is_still_signed_in_when_the_password_was_changed(tab: Tab) -> None:
    """The answer's cookie is kept from each kind of page, and its access token is used."""
    session = tab.read_text("session")
    assert tab.change_password("seven quiet geese cross the river") is None
    assert tab.evaluate("() => spa.call()") == 200
    tab.page.reload()
    tab.expect_texts(status="signed-in", session=session)


def test_page_reads_the_faults_when_the_new_password_is_not_acceptable(tab: Tab) -> None:
    """S-093: the refusal reaches each kind of page, with the names of the fields."""
    script = (
        "(current) => spa.auth.changePassword({ currentPassword: current, newPassword: 'short' })"
        ".catch(({ status, problem }) => [status, problem.errors.map(({ field }) => field)])"
    )
    assert tab.evaluate(script, PASSWORD) == [422, ["new_password"]]
    assert tab.evaluate("() => spa.call()") == 200


def test_page_reads_the_refusal_when_an_address_does_not_exist(tab: Tab) -> None:
    """S-093: errors carry the CORS headers too, and no preflight stands before them."""
    script = "(path) => spa.auth.fetch(path).then(async (a) => [a.status, (await a.json()).code])"
    assert tab.evaluate(script, "/nowhere") == [404, "not_found"]


def test_page_reads_the_challenge_when_it_shows_no_token(tab: Tab) -> None:
    """S-093: the headers that a client needs are exposed."""
    script = "() => fetch(`${api}/auth/sessions`).then((a) => a.headers.get('WWW-Authenticate'))"
    assert "Bearer" in tab.evaluate(script)


def test_cookie_is_partitioned_when_the_page_is_on_another_site(
    site: Site, window: Window, elsewhere: PageServer
) -> None:
    """S-090: elsewhere the same cookie is SameSite=Strict; both are HttpOnly and Secure."""
    far = guest(window, f"{elsewhere.origin_for('partner.localhost')}/spa.html?api={site.url}")
    far.login(site.create_user())
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
    site: Site, window: Window, elsewhere: PageServer
) -> None:
    """They share the cookie, and neither locks nor channels: one gets the new one, both a token."""
    window.context.clock.install()
    sister = f"{elsewhere.origin_for('app.house.localhost')}/spa.html?api={site.url}"
    tabs = [window.spa(site), guest(window, sister)]
    tabs[0].login(site.create_user())
    tabs[0].expect_texts(status="signed-in")
    tabs[1].evaluate("() => spa.auth.restore({ force: true })")
    for _ in range(5):
        site.clock.forward(hours=1)
        window.context.clock.fast_forward(60 * 60 * 1000)
        for tab in tabs:
            tab.evaluate("() => void (globalThis.late = spa.several(3))")
        assert Counter(code for tab in tabs for code in tab.evaluate("() => late")) == {200: 6}
    assert set(site.proxy.statuses("/auth/refresh", "POST")) == {200}


def test_user_is_still_signed_in_on_another_site_when_third_party_cookies_are_blocked(
    site: Site, chromium: Chromium, elsewhere: PageServer
) -> None:
    """Partitioned cookies are the ones that browsers keep for a page of another site."""
    with chromium.launched("--test-third-party-cookie-phaseout") as browser:
        far = Window(browser.new_context(), PageWatcher())
        tab = guest(far, f"{elsewhere.origin_for('partner.localhost')}/spa.html?api={site.url}")
        tab.login(site.create_user())
        tab.page.reload()
        tab.expect_texts(status="signed-in")
