"""Behind a real nginx: client addresses, a path prefix, and compression (S-114, S-153)."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from faults.conftest import Deployment
from itemsapi.testing import PASSWORD
from support.nginx import Proxy, guide_snippet, nginx

pytestmark = pytest.mark.slow

Deploy = Callable[..., AbstractContextManager[Deployment]]
ITEM = {"name": "Lamp", "price": "12.50", "currency": "EUR"}
AT_ROOT, PREFIX_STRIPPED, PREFIX_KEPT, UNENCRYPTED = (
    0,
    1,
    2,
    3,
)  # the pieces of the guide, in its order
COMPRESSED = "location / { proxy_pass http://127.0.0.1:8000; }"
ADDING = """
location / {{
    proxy_pass http://127.0.0.1:{port};
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
}}
"""
SPELLED_OUT = '"$http_x_forwarded_for, $remote_addr:$remote_port"'
WITH_PORT = ADDING.replace("$proxy_add_x_forwarded_for", SPELLED_OUT)


@pytest.fixture(scope="module")
def deployment(deploy: Deploy) -> Iterator[Deployment]:
    """The service under a path, behind one proxy."""
    url = "http://localhost:8000/api"
    with deploy("sqlite", workers=1, public_url=url, trusted_proxies="1") as opened:
        yield opened


@pytest.fixture
def deployment_behind_two(deploy: Deploy) -> Iterator[Deployment]:
    """The service behind two proxies."""
    with deploy("sqlite", workers=1, trusted_proxies="2") as opened:
        yield opened


@pytest.fixture(params=[PREFIX_STRIPPED, PREFIX_KEPT], ids=["taken off", "left on"])
def under_a_path(
    request: pytest.FixtureRequest, deployment: Deployment, tmp_path: Path
) -> Iterator[Proxy]:
    """The proxies of the guide that publish the service under /api."""
    with nginx(
        tmp_path / "nginx", guide_snippet(request.param), upstream=deployment.service.port
    ) as proxy:
        yield proxy


def sign_in(proxy: Proxy, path: str = "", **headers: str) -> str:
    """Sign ada in through a proxy; return the access token."""
    body = {"username": "ada", "password": PASSWORD}
    response = proxy.send("POST", f"{path}/auth/login", body, **headers)
    assert response.status == 200, response.content
    return str(response.body["access_token"])


def address_of(proxy: Proxy, token: str) -> str:
    """Return the client address of the current session."""
    sessions = proxy.send("GET", "/auth/sessions", token=token).body["items"]
    return next(str(one["address"]) for one in sessions if one["current"])


FORGED = ["192.0.2.66", '192.0.2.66, "', ",", "[2001:db8::1]:80", "unknown", "\xe9"]


@pytest.mark.parametrize("forged", FORGED)
def test_the_client_address_is_the_one_that_the_proxy_saw(
    deployment: Deployment, tmp_path: Path, forged: str
) -> None:
    """With the guide's configuration, whatever the client sends itself (S-007, S-114)."""
    with nginx(
        tmp_path / "nginx", guide_snippet(AT_ROOT), upstream=deployment.service.port
    ) as proxy:
        client = proxy.from_address("127.0.0.2")
        token = sign_in(client, X_Forwarded_For=forged, Connection="X-Forwarded-For")
        assert address_of(proxy, token) == "127.0.0.2"


def test_the_client_address_is_found_behind_two_proxies(
    deployment_behind_two: Deployment, tmp_path: Path
) -> None:
    """Both append to the client's header, one with a port; the client's own part is ignored."""
    near = nginx(
        tmp_path / "near", ADDING.format(port=8000), upstream=deployment_behind_two.service.port
    )
    with near as inner:
        edge = nginx(tmp_path / "edge", WITH_PORT.format(port=8000), upstream=inner.port)
        with edge as outer:
            client = outer.from_address("127.0.0.3")
            tokens = [sign_in(client, X_Forwarded_For=forged) for forged in FORGED]
            assert {address_of(outer, token) for token in tokens} == {"127.0.0.3"}


def test_wrong_passwords_of_one_client_do_not_lock_out_another(
    deployment: Deployment, tmp_path: Path
) -> None:
    """Ten attempts from one address with different ports; the owner has another address (S-044)."""
    deployment.backend.create_user("eve", "member")
    body = {"username": "eve", "password": "not the password"}
    lines = WITH_PORT.format(port=8000)
    with nginx(tmp_path / "nginx", lines, upstream=deployment.service.port) as proxy:
        attempts = [
            proxy.from_address("127.0.0.4").send("POST", "/auth/login", body) for _ in range(11)
        ]
        right = body | {"password": PASSWORD}
        owner_response = proxy.from_address("127.0.0.5").send("POST", "/auth/login", right)
    assert ([one.status for one in attempts], owner_response.status) == ([401] * 10 + [429], 200)


def change_item(proxy: Proxy, token: str) -> tuple[str, int, str]:
    """Create an item, read it, change it by its ETag; return ETag, status and detail."""
    created = proxy.send("POST", "/items", ITEM, token=token)
    path = created.headers["Location"].removeprefix("/api")
    tag = str(proxy.send("GET", path, token=token, Accept_Encoding="gzip").headers["ETag"])
    changed = proxy.send("PATCH", path, {"quantity": 2}, token=token, If_Match=tag)
    return tag, changed.status, changed.body.get("detail", "")


def test_a_change_succeeds_through_the_proxy_of_the_guide(
    deployment: Deployment, tmp_path: Path
) -> None:
    """It compresses other content, but not our responses (S-153)."""
    with nginx(
        tmp_path / "nginx", guide_snippet(AT_ROOT), upstream=deployment.service.port
    ) as proxy:
        assert change_item(proxy, sign_in(proxy)) == ('"v1"', 200, "")


def test_a_change_fails_with_the_reason_when_a_proxy_compresses(
    deployment: Deployment, tmp_path: Path
) -> None:
    """The server nginx weakens the ETag and ignores `no-transform` (S-153, RFC 9110 13.1.1)."""
    with nginx(tmp_path / "nginx", COMPRESSED, upstream=deployment.service.port) as proxy:
        tag, status, detail = change_item(proxy, sign_in(proxy))
    assert (tag, status) == ('W/"v1"', 412)
    assert "came back weak" in detail


def test_the_location_header_is_valid_under_a_path(under_a_path: Proxy) -> None:
    """Through both kinds of proxy: sign in, create, follow `Location`."""
    token = sign_in(under_a_path, "/api")
    created = under_a_path.send("POST", "/api/items", ITEM, token=token)
    read = under_a_path.send("GET", created.headers["Location"], token=token)
    assert (read.status, read.body["id"]) == (200, created.body["id"])


@pytest.mark.parametrize("page", ["/docs", "/docs/explore", "/console", "/console/"])
def test_all_links_of_a_page_are_valid_under_a_path(under_a_path: Proxy, page: str) -> None:
    """Through both kinds of proxy."""
    response = under_a_path.send("GET", f"/api{page}")
    named = re.findall(r'(?:src|href|data-spec)="(/[^"]*)"', response.content.decode())
    assert response.status == 200
    assert {under_a_path.send("GET", address).status for address in named} == {200}


def test_metadata_is_found_under_a_path(under_a_path: Proxy) -> None:
    """At the path of RFC 8414 section 3.1, and appended, as older clients expect it."""
    inserted = under_a_path.send("GET", "/.well-known/oauth-authorization-server/api")
    appended = under_a_path.send("GET", "/api/.well-known/oauth-authorization-server")
    assert inserted.body == appended.body
    assert inserted.body["issuer"] == "http://localhost:8000/api"


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/items",
            "/apifoo",
            "/apiitems",
            "/api/api/items",
            "/api/apifoo",
            "/API/items",
            "/api;/items",
        ),
        *("/api//api/items", "/api/%61pi/items", "/api%2fapi%2fitems", "/api/./api/items"),
        *("/api/../items", "/api/%2e%2e/items", "/api/..%2fitems", "/api/x/../../items"),
    ],
)
def test_other_spellings_of_the_path_are_not_served(under_a_path: Proxy, path: str) -> None:
    """Rules of a proxy for one path cannot be bypassed (S-006)."""
    token = sign_in(under_a_path, "/api")
    assert under_a_path.send("GET", path, token=token).status == 404


@pytest.mark.parametrize("path", ["/api/items", "/api//items", "/api/x/../items", "/api%2Fitems"])
def test_every_spelling_of_a_path_is_protected(under_a_path: Proxy, path: str) -> None:
    """S-006: as nginx or as we decode it."""
    assert under_a_path.send("GET", path).status in {401, 404}


@pytest.mark.parametrize("path", ["/", "/auth/login", "/items", "/.well-known/jwks.json"])
def test_plain_http_is_an_error(deployment: Deployment, tmp_path: Path, path: str) -> None:
    """S-142: a redirect would hide that the token was sent unencrypted."""
    with nginx(
        tmp_path / "nginx", guide_snippet(UNENCRYPTED), upstream=deployment.service.port
    ) as proxy:
        response = proxy.send("GET", path, token="seen.by.everybody")
        assert (response.status, response.headers["Location"]) == (403, None)
