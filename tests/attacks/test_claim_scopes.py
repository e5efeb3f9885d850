"""Issuer, audience and scopes, correctly signed: each is compared exactly."""

import pytest

from support.forged_tokens import ACCEPTED, REJECTED, TokenForger


@pytest.mark.parametrize(
    "scope",
    [
        None,
        1,
        True,
        [],
        ["vault:open"],
        {"vault:open": True},
        "vault:open ",
        " vault:open",
        "vault:open  items:read",
        "vault:open\titems:read",
        "vault:open,items:read",
        "vault:open\n",
        "VAULT:OPEN vault:open",
        "vault:open\xa0items:read",
        "vault:open \u2028",
        "*",
        "vault:*",
        "vault:open " + "x:y " * 600,
    ],
)
def test_a_token_is_rejected_when_scope_is_not_a_scope_string(
    forge: TokenForger, scope: object
) -> None:
    """One string, single spaces, allowed characters (S-085)."""
    assert forge.try_token(forge.with_claims(scope=scope)) == REJECTED


@pytest.mark.parametrize(
    "scope",
    ["", "vault:opened", "vault:ope", "xvault:open", "vault:open2", "items:read", "open:vault"],
)
def test_a_scope_is_missing_when_only_a_part_of_its_name_matches(
    forge: TokenForger, scope: str
) -> None:
    """A prefix or suffix is not enough (S-085); the token is valid, so the status is 403."""
    response = forge.backend.bearer_client(forge.with_claims(scope=scope)).get("/vault")
    assert (response.status_code, response.get_json()["code"]) == (403, "insufficient_scope")


@pytest.mark.parametrize(
    "iss",
    [
        None,
        "",
        1,
        [],
        "http://localhost",
        "http://localhost:8000/",
        "http://localhost:8000.evil.example",
        "xhttp://localhost:8000",
        "HTTP://LOCALHOST:8000",
        "localhost:8000",
        ["http://localhost:8000"],
        "http://localhost:80",
        " http://localhost:8000",
        "https://localhost:8000",
        "http://localhost:8000?",
    ],
)
def test_a_token_is_rejected_when_it_has_another_issuer(forge: TokenForger, iss: object) -> None:
    """The exact string, not a part of it (CVE-2024-53861, S-120)."""
    assert forge.try_token(forge.with_claims(iss=iss)) == REJECTED


@pytest.mark.parametrize(
    "aud",
    [
        None,
        "",
        1,
        [],
        {},
        "other",
        "itemsap",
        "itemsapi ",
        "ITEMSAPI",
        ["other"],
        ["itemsapi", 1],
        ["itemsapi", None],
        [["itemsapi"]],
        {"itemsapi": 1},
        True,
        "itemsapi,other",
        "itemsapi other",
        ["itemsapix"],
    ],
)
def test_a_token_is_rejected_when_it_has_another_audience(forge: TokenForger, aud: object) -> None:
    """A string or a list of strings that contains ours (S-120)."""
    assert forge.try_token(forge.with_claims(aud=aud)) == REJECTED


@pytest.mark.parametrize("aud", ["itemsapi", ["itemsapi"], ["other", "itemsapi"]])
def test_a_token_is_accepted_when_our_audience_is_in_a_list(
    forge: TokenForger, aud: object
) -> None:
    """RFC 7519 section 4.1.3 (S-120)."""
    assert forge.try_token(forge.with_claims(aud=aud)) == ACCEPTED
