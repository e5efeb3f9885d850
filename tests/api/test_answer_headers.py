"""Headers that keep answers where they belong, and those believed of nobody (S-140, S-007)."""

import pytest

from support.app_factory import Backend

ITEM = {"name": "Lamp", "price": "1.00", "currency": "EUR"}


@pytest.mark.parametrize("path", ["/items", "/health/live", "/auth/login", "/docs", "/nowhere"])
def test_no_foreign_page_embeds_an_answer(backend: Backend, path: str) -> None:
    """`cross-origin` would let any page load it into its process."""
    headers = backend.client().get(path).headers
    assert headers.getlist("Cross-Origin-Resource-Policy") == ["same-origin"]


@pytest.mark.parametrize(
    "name", ["X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "Forwarded", "Host"]
)
def test_no_client_says_what_our_address_is(backend: Backend, name: str) -> None:
    """Whoever wrote it, links lead to ITEMSAPI_PUBLIC_URL."""
    client = backend.signed_in_client("ada", "member")
    value = "host=evil.example;proto=gopher" if name == "Forwarded" else "evil.example"
    answers = [
        client.post("/items", json=ITEM, headers={name: value}),
        client.get("/.well-known/oauth-authorization-server", headers={name: value}),
        client.get("/nowhere", headers={name: value}),
    ]
    assert all("evil.example" not in one.get_data(as_text=True) for one in answers)
    assert all("evil.example" not in str(one.headers) for one in answers)
