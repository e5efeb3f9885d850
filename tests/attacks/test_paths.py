"""Spellings of an address that try to reach a view around its rule (CVE-2020-25032 family)."""

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
    "//vault",
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
def test_no_spelling_of_an_address_slips_past(forge: TokenForger, path: str, method: str) -> None:
    """Whatever spelling reaches the view meets its rule; the others are no address (S-006)."""
    before = forge.vault.calls
    answer = forge.client().open(path, method=method)
    assert answer.status_code in {400, 401, 404, 405}
    assert forge.vault.calls == before


# Letters may be escaped, and slashes around the address do not count.
SAME = {"/%76ault", "/v%61ult", "/vault", "/vault%2f", "/vault%2F", "/%2fvault"}


@pytest.mark.parametrize("path", SPELLINGS)
def test_a_token_reaches_the_view_by_few_spellings(forge: TokenForger, path: str) -> None:
    """Each of them meets the rule; nothing else is folded (S-006)."""
    answer = forge.backend.bearer_client(forge.valid_token).get(path)
    same = path.partition("?")[0].partition("#")[0] in SAME
    assert answer.status_code == (200 if same else 404)


PIECES = [
    *("/", "//", "vault", "VAULT", ".", "..", "%2f", "%2e", "%5c", ";", "%00", "hall", "?", "*"),
    *("whoever", "auth", "login", "%25", "~", "%0d%0a", ":", "@", "é", "\u202e", "%c0%af"),
]


@LOOSE
@given(
    parts=st.lists(st.sampled_from(PIECES), max_size=8),
    method=st.sampled_from(["GET", "POST", "DELETE"]),
)
def test_no_made_up_address_opens_the_vault(
    forge: TokenForger, parts: list[str], method: str
) -> None:
    """Anonymous callers run no guarded handler and cause no 5xx, whatever they ask for (S-006)."""
    raw = {"PATH_INFO": "/" + unquote_to_bytes("".join(parts)).decode("latin-1")}
    answer = forge.client().open("/", method=method, environ_overrides=raw)
    assert answer.status_code < 500
    assert "user" not in answer.get_data(as_text=True) or answer.status_code >= 400


@pytest.mark.parametrize("path", ["/vault/", "/whoever/"])
def test_a_slash_at_the_end_changes_nothing(forge: TokenForger, path: str) -> None:
    """No redirect, which would lose or leak the token: the same view, the same rule (S-006)."""
    assert forge.client().get(path).status_code == 401
    assert forge.backend.bearer_client(forge.valid_token).get(path).status_code == 200
