"""A hostile page in a browser with a signed-in user can read and change nothing.

Three places: another site, another host of the same site (cookies are sent), and another port of
the same host (cookies are sent and can be set).
"""

from collections import Counter

import pytest
from sqlalchemy import select

from itemsapi.tokens.sessions import AuthSession
from support.browser import API, PageServer, Site, Tab, Window, print_figure, wait_until

HOSTILE_HOSTS = ["evil.localhost", "evil.house.localhost", API]
BLOCKED = "chrome-error://chromewebdata/"
COOKIE = "__Host-Http-itemsapi_rt"

pytestmark = pytest.mark.parametrize("place", HOSTILE_HOSTS)


@pytest.fixture
def victim(site: Site, window: Window) -> Tab:
    """The application with a signed-in user."""
    tab = window.spa(site)
    tab.login(site.create_user())
    tab.expect_texts(status="signed-in")
    site.proxy.clear()
    return tab


def state(site: Site, window: Window) -> list[tuple[object, ...]]:
    """Return what an attack would change: the server's sessions and the browser's cookies."""
    table = AuthSession.core()
    query = select(table.c.id, table.c.gen, table.c.ended_at, table.c.rotated_at)
    with site.backend.services.database.reading() as connection:
        stored = [tuple(row) for row in connection.execute(query.order_by(table.c.id))]
    kept = [(c["name"], c["value"], c["domain"]) for c in window.context.cookies()]
    return [*stored, *kept]


def open_hostile_page(window: Window, page_server: PageServer, host: str) -> Tab:
    """Open the hostile page; browser errors are expected there."""
    tab = window.open(f"{page_server.origin_for(host)}/hostile.html")
    window.context.on("console", lambda _: window.watch.errors.clear())
    return tab


def test_nothing_is_read_or_changed_when_a_hostile_page_tries_everything(
    site: Site, window: Window, victim: Tab, page_server: PageServer, host: str
) -> None:
    """S-091, S-093: fetch, forms, images, scripts, frames, beacons; then the state is unchanged."""
    before, session, tab = (
        state(site, window),
        victim.read_text("session"),
        open_hostile_page(window, page_server, host),
    )
    results = tab.evaluate(
        "async (api) => Object.fromEntries(await Promise.all(Object.entries(attacks(api)).map("
        "async ([name, attack]) => [name, await attack()])))",
        site.url,
    )
    window.watch.errors.clear()
    print_figure(
        f"{len(results)} attacks from {host}: {Counter(seen.status for seen in site.proxy.seen)}"
    )
    assert {name: thing for name, thing in results.items() if thing is not None} == {}
    assert state(site, window) == before
    victim.page.reload()
    victim.expect_texts(status="signed-in", session=session)


def test_nothing_is_read_or_changed_when_a_hostile_page_navigates(
    site: Site, window: Window, victim: Tab, page_server: PageServer, host: str
) -> None:
    """S-092: no GET changes anything, and the opener cannot read the window."""
    before, tab = state(site, window), open_hostile_page(window, page_server, host)
    paths = ["/auth/logout", "/auth/refresh", "/auth/sessions"]
    results = [tab.evaluate("(url) => opened(url)", site.url + path) for path in paths]
    window.watch.errors.clear()
    assert results == [None] * len(paths)
    assert state(site, window) == before


def test_frame_stays_empty_when_a_hostile_page_shows_the_console_in_it(
    site: Site, window: Window, victim: Tab, page_server: PageServer, host: str
) -> None:
    """S-140: `frame-ancestors 'none'` prevents clickjacking."""
    tab = open_hostile_page(window, page_server, host)
    tab.evaluate("(url) => framed(url)", f"{site.url}/console")
    window.watch.errors.clear()
    wait_until(
        lambda: (
            tab.evaluate("() => 1") and [frame.url for frame in tab.page.frames[1:]] == [BLOCKED]
        )
    )
    window.watch.errors.clear()


def test_cookie_is_not_replaced_when_a_hostile_script_sets_others(
    site: Site, window: Window, victim: Tab, page_server: PageServer, host: str
) -> None:
    """S-090: the cookie prefix prevents other hosts and scripts from planting a session."""
    session, tab = victim.read_text("session"), open_hostile_page(window, page_server, host)
    for name in (COOKIE, COOKIE.lower(), f" {COOKIE}", "itemsapi_rt"):
        for domain in ("", "; Domain=house.localhost"):
            text = f"{name}=planted; Path=/; Secure{domain}"
            tab.evaluate("(text) => { document.cookie = text; }", text)
    victim.page.reload()
    victim.expect_texts(status="signed-in", session=session)
