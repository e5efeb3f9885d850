"""Broken networks, sleeping laptops and wrong clocks: the user stays signed in (R-26)."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from support.browser import SETTLE_TIMEOUT_MS, PageWatcher, Site, Tab, Window
from support.chromium import Chromium
from support.network import CutPoint

HOUR_MS = 60 * 60 * 1000
CUT_POINTS: tuple[CutPoint, ...] = ("request", "answer", "headers", "body")


def sign_in(site: Site, window: Window, without: str = "") -> tuple[Tab, str]:
    """Sign in; return the tab and the session's id."""
    tab = window.spa(site, without=without)
    tab.login(site.create_user())
    tab.expect_texts(status="signed-in")
    return tab, tab.read_text("session")


def sleep_for(site: Site, window: Window, *, hours: int = 1) -> None:
    """Let the laptop sleep for some hours."""
    site.clock.advance(hours=hours)
    window.context.clock.fast_forward(hours * HOUR_MS)


@contextmanager
def offline(window: Window) -> Iterator[None]:
    """Take the network away during the block."""
    window.context.set_offline(True)
    yield
    window.context.set_offline(False)


def test_session_continues_when_the_page_is_reloaded_during_a_refresh(
    site: Site, window: Window
) -> None:
    """The response arrives after its page is gone; the new page refreshes again (zitadel#9631)."""
    tab, session = sign_in(site, window)
    with site.proxy.delaying_responses("/auth/refresh") as reached:
        tab.page.reload(wait_until="commit")
        assert reached.wait(5)
        tab.page.reload()
        tab.expect_texts(within=SETTLE_TIMEOUT_MS, status="signed-in", session=session)
    assert site.proxy.statuses("/auth/refresh") == [200, 200]


def test_session_continues_when_the_tab_is_closed_during_a_refresh(
    site: Site, window: Window
) -> None:
    """Another tab, opened hours later, finds the user signed in."""
    tab, session = sign_in(site, window)
    with site.proxy.delaying_responses("/auth/refresh") as reached:
        tab.page.reload(wait_until="commit")
        assert reached.wait(5)
        tab.page.close()
    site.clock.advance(hours=8)
    window.spa(site).expect_texts(status="signed-in", session=session)


@pytest.mark.parametrize("where", CUT_POINTS)
def test_session_continues_when_the_network_fails_during_a_refresh(
    site: Site, window: Window, where: CutPoint
) -> None:
    """Whether before or after the server's commit: the client retries the same attempt."""
    tab, session = sign_in(site, window)
    site.proxy.cut("/auth/refresh", where)
    tab.page.reload()
    tab.expect_texts(within=SETTLE_TIMEOUT_MS, status="signed-in", session=session)
    attempts = [one.attempt for one in site.proxy.seen if one.path == "/auth/refresh"]
    assert (len(attempts) <= 2, len(set(attempts)), "" in attempts) == (True, 1, False)


@pytest.mark.parametrize("where", CUT_POINTS)
def test_session_continues_when_the_network_is_down_for_hours(
    site: Site, window: Window, where: CutPoint
) -> None:
    """The server has rotated the token, but its response is lost; the client recovers later."""
    tab, session = sign_in(site, window)
    cut = site.proxy.cut("/auth/refresh", where, times=100)
    tab.page.reload(wait_until="commit")
    assert cut.wait(5)
    tab.page.goto("about:blank")
    site.proxy.repair()
    site.clock.advance(hours=8)
    window.spa(site).expect_texts(status="signed-in", session=session)


def test_request_succeeds_when_the_laptop_was_asleep_for_an_hour(
    site: Site, window: Window
) -> None:
    """One refresh, then the request, without a 401."""
    window.context.clock.install()
    tab, session = sign_in(site, window)
    sleep_for(site, window)
    assert tab.evaluate("() => spa.several(5)") == [200] * 5
    tab.expect_texts(within=SETTLE_TIMEOUT_MS, status="signed-in", session=session)
    assert [(one.path, one.status) for one in site.proxy.seen][-6:] == [
        ("/auth/refresh", 200),
        *[("/auth/sessions", 200)] * 5,
    ]


def test_request_succeeds_when_the_network_returns_after_wake_up(
    site: Site, window: Window
) -> None:
    """Wi-Fi needs a moment after wake-up; the session must not end for it."""
    window.context.clock.install()
    tab, session = sign_in(site, window)
    with offline(window):
        sleep_for(site, window)
        tab.evaluate("() => void (globalThis.late = spa.call())")
        tab.page.wait_for_timeout(700)
    assert tab.evaluate("() => late") == 200
    tab.expect_texts(within=SETTLE_TIMEOUT_MS, status="signed-in", session=session)


@pytest.mark.parametrize("hours", [-24, 24], ids=["slow", "fast"])
def test_user_stays_signed_in_when_the_clock_of_the_device_is_wrong(
    site: Site, window: Window, hours: int
) -> None:
    """The value `expires_in` is relative, so refreshes are neither too frequent nor too late."""
    window.context.clock.install(time=site.clock() + timedelta(hours=hours))
    tab, session = sign_in(site, window)
    sleep_for(site, window)
    assert tab.evaluate("() => spa.several(3)") == [200] * 3
    tab.expect_texts(within=SETTLE_TIMEOUT_MS, status="signed-in", session=session)
    assert site.proxy.statuses("/auth/refresh") == [200]


def test_clock_that_is_set_back_causes_one_401(site: Site, window: Window) -> None:
    """The page takes its token for valid; the 401 triggers a refresh."""
    tab, session = sign_in(site, window)
    site.clock.advance(hours=1)
    assert tab.evaluate("() => spa.call()") == 200
    tab.expect_texts(within=SETTLE_TIMEOUT_MS, status="signed-in", session=session)
    assert site.proxy.statuses("/auth/sessions") == [401, 200]


@pytest.mark.parametrize(("without", "kept"), [("", None), ("channel", True)])
def test_user_is_signed_out_when_the_page_returns_from_the_back_forward_cache(
    site: Site, chromium: Chromium, without: str, kept: object
) -> None:
    """It was frozen during the sign-out in another tab (`kept`, unless a message evicted it)."""
    with chromium.launched(back_forward_cache=True) as browser:
        window = Window(browser.new_context(), PageWatcher())
        (tab, _), other = sign_in(site, window, without), window.spa(site, without=without)
        tab.page.goto(f"{site.url}/test/hostile.html")
        other.evaluate("() => spa.logout()")
        tab.page.go_back(wait_until="commit")
        tab.expect_texts(within=SETTLE_TIMEOUT_MS, status="signed-out")
        assert tab.evaluate("() => globalThis.persisted") is kept


def test_refresh_is_not_repeated_when_new_tokens_are_rejected(site: Site, window: Window) -> None:
    """Twenty calls at one moment of the clock, all 401, cause one refresh: no endless loop."""
    window.context.clock.install(time=site.clock())
    tab, session = sign_in(site, window)
    window.context.clock.pause_at(site.clock() + timedelta(minutes=1))
    tab.page.route("**/auth/sessions", lambda route: route.fulfill(status=401, json={}))
    script = "async () => { for (let i = 0; i < 20; i += 1) spa.results.push(await spa.call()); }"
    tab.evaluate(script)
    assert (tab.evaluate("() => spa.results"), tab.read_text("session")) == ([401] * 20, session)
    assert site.proxy.statuses("/auth/refresh") == [200]


def test_session_continues_when_refresh_fails_temporarily(site: Site, window: Window) -> None:
    """Only a 401 from refresh ends a session; after 503 the client waits as Retry-After demands."""
    tab, session = sign_in(site, window)
    away = {"status": 503, "headers": {"Retry-After": "1"}, "json": {"code": "unavailable"}}
    tab.page.route("**/auth/refresh", lambda route: route.fulfill(**away), times=1)
    tab.page.reload()
    tab.expect_texts(within=SETTLE_TIMEOUT_MS, status="signed-in", session=session)
