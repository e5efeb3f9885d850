"""Headers that isolate responses, and request headers that are ignored (S-140, S-007)."""

import pytest

from support.app_factory import Backend

ITEM = {"name": "Lamp", "price": "1.00", "currency": "EUR"}


@pytest.mark.parametrize("path", ["/items", "/health/live", "/auth/login", "/docs", "/nowhere"])
def test_no_foreign_page_can_embed_a_response(backend: Backend, path: str) -> None:
    """With `cross-origin` any page could load it into its process."""
    headers = backend.client().get(path).headers
    assert headers.getlist("Cross-Origin-Resource-Policy") == ["same-origin"]


@pytest.mark.parametrize(
    "name", ["X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "Forwarded", "Host"]
)
def test_links_use_the_public_url_whatever_the_client_sends(backend: Backend, name: str) -> None:
    """ITEMSAPI_PUBLIC_URL decides."""
    client = backend.signed_in_client("ada", "member")
    value = "host=evil.example;proto=gopher" if name == "Forwarded" else "evil.example"
    responses = [
        client.post("/items", json=ITEM, headers={name: value}),
        client.get("/.well-known/oauth-authorization-server", headers={name: value}),
        client.get("/nowhere", headers={name: value}),
    ]
    assert all("evil.example" not in one.get_data(as_text=True) for one in responses)
    assert all("evil.example" not in str(one.headers) for one in responses)
