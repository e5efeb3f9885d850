"""The three kinds of browser client: on the service's own origin, on its site, on another site."""

from collections import Counter

import pytest

from support.app_factory import PASSWORD
from support.browser import Folder, Site, Tab, Watch, Window
from support.chromium import Chromium

COOKIE = "__Host-Http-itemsapi_rt"
KINDS = {"own": "", "same site": "app.house.localhost", "another site": "partner.localhost"}


@pytest.fixture(params=list(KINDS))
def address(request: pytest.FixtureRequest, site: Site, elsewhere: Folder) -> str:
    """Where the page is, for each kind of client."""
    if not KINDS[request.param]:
        return f"{site.url}/test/spa.html"
    return f"{elsewhere.at(KINDS[request.param])}/spa.html?api={site.url}"


def guest(window: Window, address: str) -> Tab:
    """Open the application and wait until it knows that nobody is signed in."""
    opened = window.open(address)
    opened.shows(status="signed-out")
    return opened


@pytest.fixture
def tab(site: Site, window: Window, address: str) -> Tab:
    """The application in a tab, with a user signed in."""
    opened = guest(window, address)
    opened.login(site.user())
    opened.shows(status="signed-in")
    return opened


def test_user_is_still_signed_in_when_the_page_is_reloaded(tab: Tab) -> None:
    """S-090: the cookie reaches refresh from each kind of page."""
    session = tab.reads("session")
    tab.page.reload()
    tab.shows(status="signed-in", session=session)
    assert tab.do("() => spa.call()") == 200


def test_user_is_signed_out_for_good_when_the_page_says_so(tab: Tab) -> None:
    """The cookie is taken away from where it was put."""
    assert tab.do("() => spa.logout()") is None
    tab.page.reload()
    tab.shows(status="signed-out")
    assert tab.page.context.cookies() == []


def test_user_is_still_signed_in_when_the_password_was_changed(tab: Tab) -> None:
    """The answer's cookie is kept from each kind of page, and its access token is used."""
    session = tab.reads("session")
    assert tab.change_password("seven quiet geese cross the river") is None
    assert tab.do("() => spa.call()") == 200
    tab.page.reload()
    tab.shows(status="signed-in", session=session)


def test_page_reads_the_faults_when_the_new_password_is_not_acceptable(tab: Tab) -> None:
    """S-093: the refusal reaches each kind of page, with the names of the fields."""
    script = (
        "(current) => spa.auth.changePassword({ currentPassword: current, newPassword: 'short' })"
        ".catch(({ status, problem }) => [status, problem.errors.map(({ field }) => field)])"
    )
    assert tab.do(script, PASSWORD) == [422, ["new_password"]]
    assert tab.do("() => spa.call()") == 200


def test_page_reads_the_refusal_when_an_address_does_not_exist(tab: Tab) -> None:
    """S-093: errors carry the CORS headers too, and no preflight stands before them."""
    script = "(path) => spa.auth.fetch(path).then(async (a) => [a.status, (await a.json()).code])"
    assert tab.do(script, "/nowhere") == [404, "not_found"]


def test_page_reads_the_challenge_when_it_shows_no_token(tab: Tab) -> None:
    """S-093: the headers that a client needs are exposed."""
    script = "() => fetch(`${api}/auth/sessions`).then((a) => a.headers.get('WWW-Authenticate'))"
    assert "Bearer" in tab.do(script)


def test_cookie_is_partitioned_when_the_page_is_on_another_site(
    site: Site, window: Window, elsewhere: Folder
) -> None:
    """S-090: elsewhere the same cookie is SameSite=Strict; both are HttpOnly and Secure."""
    far = guest(window, f"{elsewhere.at('partner.localhost')}/spa.html?api={site.url}")
    far.login(site.user())
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
    site: Site, window: Window, elsewhere: Folder
) -> None:
    """They share the cookie, and neither locks nor channels: one gets the new one, both a token."""
    window.context.clock.install()
    sister = f"{elsewhere.at('app.house.localhost')}/spa.html?api={site.url}"
    tabs = [window.spa(site), guest(window, sister)]
    tabs[0].login(site.user())
    tabs[0].shows(status="signed-in")
    tabs[1].do("() => spa.auth.restore({ force: true })")
    for _ in range(5):
        site.clock.forward(hours=1)
        window.context.clock.fast_forward(60 * 60 * 1000)
        for tab in tabs:
            tab.do("() => void (globalThis.late = spa.several(3))")
        assert Counter(code for tab in tabs for code in tab.do("() => late")) == {200: 6}
    assert set(site.wire.statuses("/auth/refresh", "POST")) == {200}


def test_user_is_still_signed_in_on_another_site_when_third_party_cookies_are_blocked(
    site: Site, chromium: Chromium, elsewhere: Folder
) -> None:
    """Partitioned cookies are the ones that browsers keep for a page of another site."""
    with chromium.started("--test-third-party-cookie-phaseout") as browser:
        far = Window(browser.new_context(), Watch())
        tab = guest(far, f"{elsewhere.at('partner.localhost')}/spa.html?api={site.url}")
        tab.login(site.user())
        tab.page.reload()
        tab.shows(status="signed-in")
