"""Several tabs of one browser share one session, whatever they do at once (R-26)."""

import os
from collections import Counter
from time import monotonic

import pytest

from itemsapi.accounts.models import COMMAND_LINE
from itemsapi.issuer.sessions import list_open_sessions
from itemsapi.issuer.users import UserService
from support.browser import SETTLE_TIMEOUT_MS, Site, Tab, Window, busy_machine, print_figure

ROUNDS = int(os.environ.get("ITEMSAPI_TEST_ROUNDS", "10"))  # 100 for the full check
ROUGH_ROUNDS = int(os.environ.get("ITEMSAPI_TEST_ROUNDS", "3"))  # each takes seconds
TABS, CALLS_PER_TAB = 5, 3
NEW_PASSWORD = "seven quiet geese cross the river"
HOUR_MS = 60 * 60 * 1000


def session_count(site: Site, user: str) -> int:
    """Return the number of the user's sessions."""
    issuer = site.backend.services.issuer
    return len(list_open_sessions(issuer, site.ids[user]))


def wake_tabs(site: Site, window: Window, tabs: list[Tab], number: int) -> None:
    """Let an hour pass, then make all tabs call the API at once."""
    site.clock.advance(hours=1)
    window.context.clock.fast_forward(HOUR_MS)
    tabs[0].evaluate("order => spa.all(order)", {"round": number, "count": CALLS_PER_TAB})
    for tab in tabs:
        tab.expect_texts(done=str(number))
    site.proxy.wait_until_idle()  # no refresh may be in flight when the clock moves


def open_five_tabs(site: Site, window: Window, without: str) -> tuple[list[Tab], str]:
    """Sign in with five tabs open."""
    window.context.clock.install()
    user = site.create_user()
    first = window.spa(site, without=without)
    first.login(user)
    return [first, *(window.spa(site, without=without) for _ in range(TABS - 1))], user


def wake_repeatedly(
    site: Site, window: Window, tabs: list[Tab], rounds: int
) -> tuple[Counter[int | str], Counter[int]]:
    """Wake the tabs `rounds` times; return the outcomes of their calls and refreshes."""
    site.proxy.clear()
    for number in range(rounds):
        wake_tabs(site, window, tabs, number)
    results = Counter(result for tab in tabs for result in tab.evaluate("() => spa.results"))
    refreshed = Counter(site.proxy.statuses("/auth/refresh"))
    print_figure(f"{rounds} rounds, {len(tabs)} tabs: calls {results}, refreshes {refreshed}")
    return results, refreshed


def test_five_tabs_stay_signed_in_when_they_wake_up_at_once(site: Site, window: Window) -> None:
    """No session ends, every request succeeds, one tab refreshes for all."""
    tabs, user = open_five_tabs(site, window, "")
    results, refreshed = wake_repeatedly(site, window, tabs, ROUNDS)
    assert (results, session_count(site, user)) == ({200: ROUNDS * TABS * CALLS_PER_TAB}, 1)
    assert list(refreshed) == [200]


@pytest.mark.parametrize("without", ["locks", "locks,channel"])
def test_five_tabs_stay_signed_in_when_the_browser_has_no_locks(
    site: Site, window: Window, without: str
) -> None:
    """Each may refresh: one gets the cookie, the others an access token or a short wait."""
    tabs, user = open_five_tabs(site, window, without)
    results, refreshed = wake_repeatedly(site, window, tabs, ROUNDS)
    assert (results, session_count(site, user)) == ({200: ROUNDS * TABS * CALLS_PER_TAB}, 1)
    assert set(refreshed) <= {200, 503}


@pytest.mark.parametrize("without", ["", "locks,channel"])
def test_no_tab_is_signed_out_when_responses_are_slow_and_a_third_is_lost(
    site: Site, window: Window, without: str
) -> None:
    """Five tabs, a busy machine, refreshes of 600 ms, 30 % lost responses.

    A call may time out; it never finds the session ended.
    """
    tabs, user = open_five_tabs(site, window, without)
    session = tabs[0].read_text("session")
    with busy_machine(), site.proxy.unreliable("/auth/refresh", seconds=0.6, lost=0.3):
        results, refreshed = wake_repeatedly(site, window, tabs, ROUGH_ROUNDS)
    for tab in tabs:
        tab.expect_texts(status="signed-in", session=session, reason="")
    assert session_count(site, user) == 1
    assert set(results) <= {200, "network_error", "refresh_superseded"}
    assert set(refreshed) <= {200, 503}


def test_all_tabs_stay_signed_in_when_one_changes_the_password(site: Site, window: Window) -> None:
    """Their old tokens are revoked; they get the new one before they call (same session)."""
    tabs, user = open_tabs(site, window)
    wait_for_status(tabs, "signed-in")
    session = tabs[0].read_text("session")
    assert tabs[3].change_password(NEW_PASSWORD) is None
    assert [tab.evaluate("() => spa.several(3)") for tab in tabs] == [[200] * 3] * TABS
    tabs[1].page.reload()
    for tab in tabs:
        tab.expect_texts(status="signed-in", session=session)
    assert session_count(site, user) == 1


def open_tabs(site: Site, window: Window, count: int = TABS) -> tuple[list[Tab], str]:
    """Sign in with several tabs open."""
    user = site.create_user()
    tabs = [window.spa(site) for _ in range(count)]
    tabs[0].login(user)
    return tabs, user


def wait_for_status(tabs: list[Tab], status: str) -> float:
    """Wait until all tabs show a status, within the required time; return the seconds."""
    begun = monotonic()
    for tab in tabs:
        tab.expect_texts(within=SETTLE_TIMEOUT_MS, status=status)
    return monotonic() - begun


def test_other_tabs_are_signed_in_when_one_is(site: Site, window: Window) -> None:
    """One sign-in serves all tabs, without a further request."""
    tabs, _ = open_tabs(site, window)
    wait_for_status(tabs, "signed-in")
    assert site.proxy.statuses("/auth/refresh") == []


def test_all_tabs_are_signed_out_when_one_is(site: Site, window: Window) -> None:
    """The final state is reached within 2 s, and the session has ended."""
    tabs, user = open_tabs(site, window)
    wait_for_status(tabs, "signed-in")
    assert tabs[2].evaluate("() => spa.logout()") is None
    print_figure(f"all {TABS} tabs signed out after {wait_for_status(tabs, 'signed-out'):.2f} s")
    assert session_count(site, user) == 0


def test_new_tab_sends_no_request_after_sign_out(site: Site, window: Window) -> None:
    """Signed-out users cause no load on the refresh endpoint."""
    (tab,), _ = open_tabs(site, window, count=1)
    tab.evaluate("() => spa.logout()")
    site.proxy.clear()
    window.spa(site).expect_texts(status="signed-out")
    assert site.proxy.statuses("/auth/refresh") == []


def test_all_tabs_are_signed_out_when_an_operator_disables_the_user(
    site: Site, window: Window
) -> None:
    """Tabs that poll find out within 2 s, and then send no further requests."""
    tabs, user = open_tabs(site, window)
    wait_for_status(tabs, "signed-in")
    for tab in tabs:
        tab.evaluate("() => spa.poll(100)")
    site.proxy.clear()
    UserService(site.backend.services.issuer).change(
        COMMAND_LINE, site.ids[user], None, disabled=True
    )
    seconds_to_sign_out = wait_for_status(tabs, "signed-out")
    tabs[0].page.wait_for_timeout(500)
    refresh_statuses = site.proxy.statuses("/auth/refresh")
    site.proxy.clear()
    tabs[0].page.wait_for_timeout(500)
    print_figure(
        f"all {TABS} tabs signed out {seconds_to_sign_out:.2f} s after the user was disabled; "
        f"refresh: {refresh_statuses}"
    )
    assert set(refresh_statuses) == {401}
    assert (len(refresh_statuses) <= TABS, site.proxy.seen) == (True, [])


def test_late_response_restores_no_session_after_sign_out(site: Site, window: Window) -> None:
    """The response of a refresh during the sign-out is dropped; its cookie is invalid."""
    (first, second), user = open_tabs(site, window, count=2)
    wait_for_status([first, second], "signed-in")
    with site.proxy.delaying_responses("/auth/refresh") as reached:
        second.page.reload(wait_until="commit")
        assert reached.wait(5)
        first.evaluate("() => spa.logout()")
    first.page.reload()
    wait_for_status([first, second], "signed-out")
    assert session_count(site, user) == 0
