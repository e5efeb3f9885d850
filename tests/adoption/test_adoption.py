"""Applications that were not written for the layer adopt it; their responses do not change."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.adoption import Adoption, Request, adoption_diff, changed_lines, send

DOCS = Path(__file__).parents[2] / "docs" / "adopt.md"
NAMES = ["shop", "pets", "office"]


@pytest.mark.parametrize("name", NAMES)
def test_the_adoption_changes_twelve_lines_at_most(name: str) -> None:
    """Blank lines do not count."""
    assert 0 < len(changed_lines(adoption_diff(name))) <= 12


@pytest.mark.parametrize("name", NAMES)
def test_the_guide_shows_the_difference(name: str) -> None:
    """The lines are those of the tested applications."""
    shown = DOCS.read_text()
    assert [line for line in changed_lines(adoption_diff(name)) if line not in shown] == []


# Each request is sent to the application before and after its adoption, in order: some change rows.

JSON = "application/json"
SHOP = [
    Request("GET", "/"),
    Request("GET", "/account"),
    Request("GET", "/login"),
    Request("POST", "/login", None, {"data": {"email": "ada@shop.example", "password": "no"}}),
    Request("POST", "/login", None, {"data": {"email": "ada@shop.example", "password": "horse"}}),
    Request("GET", "/account"),
    Request("GET", "/about"),
    Request("GET", "/about/"),
    Request("GET", "/catalogue/a/b"),
    Request("GET", "/old"),
    Request("GET", "/download"),
    Request("GET", "/bad"),
    Request("GET", "/forbidden"),
    Request("GET", "/language/de"),
    Request("GET", "/language/xx"),
    Request("GET", "/robots.txt"),
    Request("GET", "/status"),
    Request("POST", "/hook", None, {"data": "{not json"}),
    Request("POST", "/hook", None, {"json": {"a": 1}}),
    Request("GET", "/static/nothing.css"),
    Request("GET", "/nowhere"),
    Request("GET", "/auth/nowhere"),
    Request("PUT", "/about/"),
    Request("OPTIONS", "/about/"),
    Request("OPTIONS", "/api/products"),
    Request("GET", "/api/nowhere"),
    Request("PATCH", "/api/products"),
    Request("GET", "/api/products", "shop:read"),
    Request("HEAD", "/api/products", "shop:read"),
    Request("GET", "/api/products?q=Lamp&q=x&other=1", "shop:read"),
    Request("POST", "/api/products", "shop:write", {"json": {"name": "Chair", "price": "9.5"}}),
    Request("POST", "/api/products", "shop:write", {"json": {"name": "Chair"}}),
    Request("POST", "/api/products", "shop:write", {"data": "[", "content_type": JSON}),
    Request("POST", "/api/products", "shop:write", {"data": "x" * 6000}),
    Request("GET", "/api/products/3", "shop:read"),
    Request("GET", "/api/products/99", "shop:read"),
    Request("GET", "/api/products/x"),
    Request("PUT", "/api/products/3", "shop:write", {"json": {"name": "Stool", "more": 1}}),
    Request("GET", "/api/products.csv", "shop:read"),
    Request("DELETE", "/api/products/3", "shop:write"),
    Request("POST", "/api/orders", "shop:write", {"data": {"quantity": "2"}}),
    Request("POST", "/api/orders", "shop:write", {"data": {"quantity": "0"}}),
    Request("POST", "/api/orders", "shop:write", {"data": {}}),
    Request("GET", "/api/orders", "shop:read"),
    Request("GET", "/api/orders/1", "shop:read"),
    Request("DELETE", "/api/orders/1", "shop:write"),
    Request("GET", "/api/echo?a=1&a=2", "shop:read"),
    Request("POST", "/api/echo?b", "shop:write", {"data": b"\x00\xff"}),
    Request("GET", "/api/stats", "shop:read"),
    Request("GET", "/api/slow"),
    Request("GET", "/api/slow/", "shop:read"),
    Request("GET", "/api/teapot", "shop:read"),
    Request("POST", "/logout"),
]
FIRST_PET = "/pets/00000000-0000-0000-0000-000000000000"
PETS = [
    Request("GET", "/pets/", "pets:read"),
    Request("GET", "/pets", None),
    Request("GET", "/pets/?name=Whiskers&page=1&page_size=1", "pets:read"),
    Request("GET", "/pets/?colour=red", "pets:read"),
    Request("GET", "/pets/?page=x", "pets:read"),
    Request("POST", "/pets/", "pets:write", {"json": {"name": "Rex", "age": 3}}),
    Request("POST", "/pets/", "pets:write", {"json": {"age": "old", "x": 1}}),
    Request("POST", "/pets/", "pets:write", {"data": "{", "content_type": JSON}),
    Request("GET", FIRST_PET, "pets:read"),
    Request("GET", FIRST_PET[:-1] + "9", "pets:read"),
    Request("GET", "/pets/seven"),
    Request("PUT", FIRST_PET, "pets:write", {"json": {"name": "Tom"}}),
    Request(
        "PUT", FIRST_PET, "pets:write", {"json": {"name": "Tom"}, "headers": {"If-Match": '"x"'}}
    ),
    Request("DELETE", FIRST_PET, "pets:write"),
    Request("PATCH", FIRST_PET),
    Request("GET", "/swagger-ui"),
    Request("GET", "/nowhere"),
]
OFFICE = [
    Request("GET", "/"),
    Request("GET", "/nowhere"),
    Request("GET", "/admin/", "office:admin"),
    Request("GET", "/admin/team/", "office:admin"),
    Request("POST", "/admin/team/add", "office:admin", {"data": {"name": "Ada"}}),
    Request("GET", "/admin/static/vendor/nothing.js"),
    *[Request("GET", "/api/rooms", "office:use")] * 4,  # the fourth is limited
    Request("POST", "/api/rooms", "office:use", {"json": {"room": "blue"}}),
    Request("GET", "/reports/2026", "office:use"),
    Request("HEAD", "/reports", "office:use"),
]


APPS = {"shop": SHOP, "pets": PETS, "office": OFFICE}


@pytest.fixture
def adoption(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Adoption]:
    """Both versions of one application, with the settings of a new developer."""
    monkeypatch.setenv("ITEMSAPI_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("ITEMSAPI_RATE_LIMIT", "off")
    with Adoption.of(name) as adoption:
        yield adoption


@pytest.mark.parametrize("name", APPS)
def test_no_response_changes(adoption: Adoption, name: str) -> None:
    """Status, headers and body, with a token where the adopted application needs one."""
    assert adoption.differences(APPS[name]) == []


@pytest.mark.parametrize("name", APPS)
def test_guarded_routes_are_refused_without_a_token(adoption: Adoption, name: str) -> None:
    """Each of them, and nothing else changes anything meanwhile (S-001)."""
    client = adoption.after.test_client()
    guarded = [request for request in APPS[name] if request.scope]
    codes = {str(request): send(client, request).status_code for request in guarded}
    assert set(codes.values()) == {401}
    assert adoption.differences(APPS[name]) == []


@pytest.mark.parametrize("name", APPS)
def test_guarded_routes_are_refused_without_their_scope(adoption: Adoption, name: str) -> None:
    """With a token that has every scope but the one that the route needs (S-004)."""
    client = adoption.after.test_client()
    guarded = [request for request in APPS[name] if request.scope]
    codes = {
        str(request): send(client, request, adoption.token_without(request.scope)).status_code
        for request in guarded
        if request.scope
    }
    assert set(codes.values()) == {403}
