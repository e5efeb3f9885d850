"""Spellings of a path that try to bypass the rule of a view (CVE-2020-25032 family)."""

from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.forged_tokens import TokenForger

LOOSE = settings(
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
SPELLINGS = [
    "/./vault",
    "/../vault",
    "/hall/../vault",
    "/vault/.",
    "/vault/..",
    "/%76ault",
    "/VAULT",
    "/Vault",
    "/vault;",
    "/vault;x=1",
    "/vault;/hall",
    "/vault%2f",
    "/vault%2F",
    "/%2fvault",
    "/%2e/vault",
    "/vault%00",
    "/vault%20",
    "/vault.json",
    "/vault%0a",
    "/vault%09",
    "/vault/x",
    "/vault//",
    "/hall%2f..%2fvault",
    "/hall/..%2fvault",
    "/hall;/../vault",
    "/vault%c0%ae",
    "/%c0%afvault",
    "/vault%ef%bc%8f",
    "/v%61ult?x",
    "/vault#",
    "/vault?",
    "/vault/index.html",
    "/.//vault",
    "/vault\\",
    "/\\vault",
    "/vault%5c",
    "/hall/%2e%2e/vault",
    "/vault%ff",
    "/http://localhost/vault",
    "/vault*",
]


@pytest.mark.parametrize("path", SPELLINGS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_spelling_of_a_path_bypasses_the_rule(
    forge: TokenForger, path: str, method: str
) -> None:
    """A spelling that reaches the view meets its rule; all others are 404 (S-006)."""
    before = forge.vault.calls
    response = forge.client().open(path, method=method)
    assert response.status_code in {400, 401, 404, 405}
    assert forge.vault.calls == before


def test_a_second_slash_before_the_path_does_not_bypass_the_rule(forge: TokenForger) -> None:
    """Werkzeug drops it, and the rule is met (S-006). In `SPELLINGS` it would be another host."""
    before = forge.vault.calls
    response = forge.client().get("/", environ_overrides={"PATH_INFO": "//vault"})
    assert (response.status_code, forge.vault.calls) == (401, before)


# Letters may be escaped, and slashes around the address do not count.
SAME = {"/%76ault", "/v%61ult", "/vault", "/vault%2f", "/vault%2F", "/%2fvault"}


@pytest.mark.parametrize("path", SPELLINGS)
def test_few_spellings_of_a_path_reach_the_view(forge: TokenForger, path: str) -> None:
    """Each of them meets the rule; nothing else is normalized (S-006)."""
    response = forge.backend.bearer_client(forge.valid_token).get(path)
    same = path.partition("?")[0].partition("#")[0] in SAME
    assert response.status_code == (200 if same else 404)


PIECES = [
    *("/", "//", "vault", "VAULT", ".", "..", "%2f", "%2e", "%5c", ";", "%00", "hall", "?", "*"),
    *("whoever", "auth", "login", "%25", "~", "%0d%0a", ":", "@", "é", "\u202e", "%c0%af"),
]


@LOOSE
@given(
    parts=st.lists(st.sampled_from(PIECES), max_size=8),
    method=st.sampled_from(["GET", "POST", "DELETE"]),
)
def test_no_generated_path_reaches_the_view_without_a_token(
    forge: TokenForger, parts: list[str], method: str
) -> None:
    """Anonymous requests run no guarded handler and cause no 5xx (S-006)."""
    raw = {"PATH_INFO": "/" + unquote_to_bytes("".join(parts)).decode("latin-1")}
    response = forge.client().open("/", method=method, environ_overrides=raw)
    assert response.status_code < 500
    assert "user" not in response.get_data(as_text=True) or response.status_code >= 400


@pytest.mark.parametrize("path", ["/vault/", "/whoever/"])
def test_a_trailing_slash_is_the_same_path(forge: TokenForger, path: str) -> None:
    """No redirect, which would lose or leak the token (S-006)."""
    assert forge.client().get(path).status_code == 401
    assert forge.backend.bearer_client(forge.valid_token).get(path).status_code == 200
