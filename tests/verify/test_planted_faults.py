"""Every fault that is planted in an application is found, and nothing in a clean one.

Each row names the operation and the attack that must find the fault. The settings are what a user
of the application would write.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MINT = Path(__file__).parent / "apps" / "mint.py"
PUBLIC = {
    "smorest": ["POST /login", "GET /health"],
    "fastapi": ["POST /auth/login"],
    "django": ["POST /api/token/*"],
}
FOREIGN_FAULTS = [
    ("smorest", "open-route", "DELETE /pets/{pet_id}", "no token"),
    ("smorest", "wrong-scope", "GET /pets/", "scope"),
    ("smorest", "missing-401", "GET /pets/", "document"),
    ("smorest", "head-bypass", "GET /pets/", "HEAD"),
    ("smorest", "foreign-object", "GET /pets/{pet_id}", "other user"),
    ("smorest", "living-token", "GET /pets/", "revoked"),
    ("smorest", "query-token", "GET /pets/", "broken token"),
    ("fastapi", "open-route", "DELETE /notes/{note_id}", "no token"),
    ("fastapi", "wrong-scope", "GET /notes", "scope"),
    ("fastapi", "missing-401", "GET /notes", "document"),
    ("fastapi", "head-bypass", "GET /notes", "HEAD"),
    ("fastapi", "foreign-object", "GET /notes/{note_id}", "other user"),
    ("fastapi", "living-token", "GET /notes", "revoked"),
    ("fastapi", "expired-token", "GET /notes", "expired"),
    ("django", "open-route", "DELETE /api/tasks/{id}/", "no token"),
    ("django", "wrong-scope", "GET /api/tasks/", "scope"),
    ("django", "missing-401", "GET /api/tasks/", "document"),
    ("django", "head-bypass", "GET /api/tasks/", "HEAD"),
    ("django", "foreign-object", "GET /api/tasks/{id}/", "other user"),
    ("django", "living-token", "GET /api/tasks/", "revoked"),
    ("django", "refresh-as-access", "GET /api/tasks/", "wrong kind"),
]
OWN_FAULTS = [
    ("open-route", "GET /items", "no token"),
    ("wrong-scope", "GET /items", "scope"),
    ("missing-401", "GET /items", "document"),
    ("head-bypass", "GET /items", "HEAD"),
    ("foreign-object", "GET /items/{item_id}", "other user"),
    ("living-token", "GET /items", "revoked"),
    ("override", "DELETE /items/{item_id}", "override"),
]
PROTECTED = {"smorest": 5, "fastapi": 6, "django": 6}
OWN_SETTINGS = """
login = "ada"
other = "eve"
write = true
public = ["GET /*", "POST /auth/*", "POST /oauth/token", "POST /oauth/revoke"]

[skip]
"* /users*" = "operators' endpoints are verified in a run of their own"
"* /roles*" = "as above"
"* /sessions" = "as above"
"POST /me/password" = "it would change the password of the test"
"""

HOST_SETTINGS = """
login = "ada"
other = "eve"
write = true
login_request = { path = "/api/auth/login" }
"""
OPERATORS_SETTINGS = """
login = "ada"
other = "eve"
write = true
public = ["GET /*", "POST /api/auth/*", "POST /api/oauth/token", "POST /api/oauth/revoke"]
shared = ["* /api/users/*", "* /api/roles/*"]

[skip]
"POST /api/me/password" = "it would change the password of the test"
"DELETE /api/sessions" = "it needs every scope that a user has"
"DELETE /api/users/{user_id}/sessions/{session_id}" = "a new user has no session"

[values."POST /api/users"]
body = { username = "verify", password = "seven quiet geese cross the river", roles = [] }

[values."POST /api/me/api-keys"]
body = { name = "verify", scopes = ["users:read"], expires_in_days = 1 }
"""
USER_SETTINGS = """
extra_scopes = ["pets:read"]
login = "ada"
other = "eve"
write = true
public = ["GET /*", "POST /api/auth/*", "POST /api/oauth/token", "POST /api/oauth/revoke"]

[skip]
"POST /api/me/password" = "it would change the password of the test"

[values."POST /api/me/api-keys"]
body = { name = "verify", scopes = ["pets:read"], expires_in_days = 1 }
"""


def settings_of(app: str, python: str) -> str:
    """Return the `verify.toml` of an application of another framework."""
    command = json.dumps(f"{python} {MINT} {app}")
    return (
        f'login = "ada"\nother = "eve"\nwrite = true\n'
        f"token_command = {command}\npublic = {json.dumps(PUBLIC[app])}\n"
    )


@pytest.mark.parametrize("row", FOREIGN_FAULTS, ids=" ".join)
def test_fault_is_found_when_it_is_planted_in_another_framework(
    row: tuple[str, str, str, str],
    foreign_python: str,
    running: Callable[..., str],
    verify: Callable[..., Any],
) -> None:
    """The row's operation has the fault, and the command says so by its exit code."""
    app, fault, operation, attack = row
    verified = verify(running(foreign_python, app, fault), settings_of(app, foreign_python))
    assert (operation, attack) in verified.outcomes("FAULT")
    assert verified.code == 1


@pytest.mark.parametrize("app", PUBLIC)
def test_nothing_is_found_when_an_application_of_another_framework_is_clean(
    app: str, foreign_python: str, running: Callable[..., str], verify: Callable[..., Any]
) -> None:
    """There is no false alarm, and every protected operation is proved."""
    verified = verify(running(foreign_python, app, "clean"), settings_of(app, foreign_python))
    assert (verified.code, verified.outcomes("FAULT")) == (0, set())
    assert len(verified.report["proved"]) == PROTECTED[app]


@pytest.mark.parametrize("row", OWN_FAULTS, ids=" ".join)
def test_fault_is_found_when_it_is_planted_before_our_service(
    row: tuple[str, str, str], running: Callable[..., str], verify: Callable[..., Any]
) -> None:
    """The same holds for our own service, which signs the users in."""
    fault, operation, attack = row
    verified = verify(running(sys.executable, "items", fault), OWN_SETTINGS)
    assert (operation, attack) in verified.outcomes("FAULT")
    assert verified.code == 1


def test_nothing_is_found_when_our_service_is_clean(
    running: Callable[..., str], verify: Callable[..., Any]
) -> None:
    """There is no false alarm, and every protected operation that is not left out is proved."""
    verified = verify(running(sys.executable, "items", "clean"), OWN_SETTINGS)
    assert (verified.code, verified.outcomes("FAULT")) == (0, set())
    assert verified.report["proved"] == verified.report["protected"]


@pytest.mark.parametrize("fault", ["clean", "wrong-scope"])
def test_scopes_are_attacked_when_the_document_of_an_application_is_of_openapi_3_0(
    fault: str, running: Callable[..., str], verify: Callable[..., Any]
) -> None:
    """There `security` names no scopes, and `x-access` of the layer does."""
    verified = verify(running(sys.executable, "host", fault), HOST_SETTINGS)
    scopes = {("GET /pets/", "scope"), ("GET /pets/{pet_id}", "scope"), ("POST /pets/", "scope")}
    attacked = {f for f in verified.outcomes("ok") | verified.outcomes("FAULT") if f[1] == "scope"}
    assert attacked == scopes
    faults = {("GET /pets/", "scope")} if fault == "wrong-scope" else set()
    assert verified.outcomes("FAULT") == faults


def test_nothing_is_found_when_the_layer_is_under_a_prefix_with_operators(
    running: Callable[..., str], verify: Callable[..., Any]
) -> None:
    """The document of the layer, with users, roles and API keys: all of it is proved."""
    url = running(sys.executable, "host", "operators").replace("/openapi", "/api/openapi")
    verified = verify(url, OPERATORS_SETTINGS)
    assert (verified.code, verified.outcomes("FAULT")) == (0, set())
    assert verified.report["proved"] == verified.report["protected"]


def test_only_what_needs_more_is_unproved_when_a_user_lacks_scopes_of_the_document(
    running: Callable[..., str], verify: Callable[..., Any]
) -> None:
    """Users of the application sign in with the scopes that they have; nothing stops the run."""
    url = running(sys.executable, "host", "clean").replace("/openapi", "/api/openapi")
    verified = verify(url, USER_SETTINGS)
    assert verified.outcomes("unproved") == {("POST /api/oauth/introspect", "control")}
    assert (verified.code, verified.outcomes("FAULT")) == (3, set())
