"""The issuer works without a Flask application: in scripts, threads and other frameworks."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask, has_app_context

from itemsapi.composition import build_services
from itemsapi.issuer.introspection import introspect
from itemsapi.issuer.issuer import Grant, Issuer
from itemsapi.issuer.login import LoginRequest, login
from itemsapi.issuer.refresh import RefreshRequest, refresh
from itemsapi.issuer.sessions import logout
from itemsapi.problems import RefreshInvalid
from itemsapi.testing import PASSWORD
from support.app_factory import Backend


@pytest.fixture
def issuer(backend: Backend) -> Iterator[Issuer]:
    """An issuer without an application, and a user `ada`."""
    backend.create_user("ada", "member")
    services = build_services(backend.services.settings, backend.clock)
    yield services.issuer
    services.database.dispose()


def sign_in_and_out(issuer: Issuer) -> tuple[Grant, Grant]:
    """Sign in, refresh and sign out; return both grants."""
    assert not has_app_context()
    first = login(issuer, LoginRequest("ada", PASSWORD))
    assert first.refresh_token is not None
    second = refresh(issuer, first.refresh_token, RefreshRequest("body"))
    assert second.refresh_token is not None
    assert introspect(issuer, second.access_token)["active"]
    logout(issuer, second.refresh_token, delivery="body")
    with pytest.raises(RefreshInvalid):
        refresh(issuer, second.refresh_token, RefreshRequest("body"))
    return first, second


def test_login_refresh_and_logout_work_without_an_application_context(issuer: Issuer) -> None:
    """Tokens are minted after the commit, so a failure there would lose the session."""
    first, second = sign_in_and_out(issuer)
    assert first.session_id == second.session_id
    assert first.refresh_token != second.refresh_token


def test_login_refresh_and_logout_work_in_a_thread(issuer: Issuer) -> None:
    """A thread starts without the context of the one that made it."""
    with ThreadPoolExecutor(1) as pool:
        first, second = pool.submit(sign_in_and_out, issuer).result()
    assert first.session_id == second.session_id


def test_login_works_in_the_context_of_another_application(issuer: Issuer) -> None:
    """Its Flask-JWT-Extended, if it has one, has other keys and settings."""
    with Flask("other").app_context():
        grant = login(issuer, LoginRequest("ada", PASSWORD))
        assert introspect(issuer, grant.access_token)["active"]


def test_the_application_accepts_a_token_that_was_issued_outside_of_it(
    backend: Backend, issuer: Issuer
) -> None:
    """Both have the same keys, issuer and audience."""
    grant = login(issuer, LoginRequest("ada", PASSWORD))
    assert backend.bearer_client(grant.access_token).get("/me").status_code == 200
