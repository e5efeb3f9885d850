"""Behind a real nginx: whose request it is, under a path, and with compression (S-114, S-153)."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from faults.conftest import Deployment
from support.app_factory import PASSWORD
from support.nginx import Proxy, guide_snippet, nginx

pytestmark = pytest.mark.slow

Deploy = Callable[..., AbstractContextManager[Deployment]]
ITEM = {"name": "Lamp", "price": "12.50", "currency": "EUR"}
PLAIN, TAKEN_OFF, LEFT_ON, UNENCRYPTED = 0, 1, 2, 3  # the pieces of the guide, in its order
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
def service(deploy: Deploy) -> Iterator[Deployment]:
    """The service under a path, behind one proxy."""
    url = "http://localhost:8000/api"
    with deploy("sqlite", workers=1, public_url=url, trusted_proxies="1") as opened:
        yield opened


@pytest.fixture
def far_service(deploy: Deploy) -> Iterator[Deployment]:
    """The service behind two proxies."""
    with deploy("sqlite", workers=1, trusted_proxies="2") as opened:
        yield opened


@pytest.fixture(params=[TAKEN_OFF, LEFT_ON], ids=["taken off", "left on"])
def under_a_path(
    request: pytest.FixtureRequest, service: Deployment, tmp_path: Path
) -> Iterator[Proxy]:
    """The proxies of the guide that publish the service under /api."""
    with nginx(
        tmp_path / "nginx", guide_snippet(request.param), upstream=service.service.port
    ) as proxy:
        yield proxy


def signed_in(proxy: Proxy, path: str = "", **headers: str) -> str:
    """Sign ada in through a proxy; return the access token."""
    body = {"username": "ada", "password": PASSWORD}
    answer = proxy.send("POST", f"{path}/auth/login", body, **headers)
    assert answer.status == 200, answer.content
    return str(answer.body["access_token"])


def address_of(proxy: Proxy, token: str) -> str:
    """Return where the list of sessions says that this one was opened."""
    sessions = proxy.send("GET", "/auth/sessions", token=token).body["items"]
    return next(str(one["address"]) for one in sessions if one["current"])


FORGED = ["192.0.2.66", '192.0.2.66, "', ",", "[2001:db8::1]:80", "unknown", "\xe9"]


@pytest.mark.parametrize("forged", FORGED)
def test_the_clients_address_is_the_one_that_the_proxy_saw(
    service: Deployment, tmp_path: Path, forged: str
) -> None:
    """By the lines of the guide, whatever the client sends itself (S-007, S-114)."""
    with nginx(tmp_path / "nginx", guide_snippet(PLAIN), upstream=service.service.port) as proxy:
        client = proxy.from_address("127.0.0.2")
        token = signed_in(client, X_Forwarded_For=forged, Connection="X-Forwarded-For")
        assert address_of(proxy, token) == "127.0.0.2"


def test_the_clients_address_is_found_behind_two_proxies(
    far_service: Deployment, tmp_path: Path
) -> None:
    """Both add to what the client wrote, one of them with a port: none of that is believed."""
    near = nginx(tmp_path / "near", ADDING.format(port=8000), upstream=far_service.service.port)
    with near as inner:
        edge = nginx(tmp_path / "edge", WITH_PORT.format(port=8000), upstream=inner.port)
        with edge as outer:
            client = outer.from_address("127.0.0.3")
            tokens = [signed_in(client, X_Forwarded_For=forged) for forged in FORGED]
            assert {address_of(outer, token) for token in tokens} == {"127.0.0.3"}


def test_a_client_that_guesses_locks_no_other_out(service: Deployment, tmp_path: Path) -> None:
    """Ten tries from one address, each from another port; the owner has another address (S-044)."""
    service.backend.create_user("eve", "member")
    body = {"username": "eve", "password": "not the password"}
    lines = WITH_PORT.format(port=8000)
    with nginx(tmp_path / "nginx", lines, upstream=service.service.port) as proxy:
        tries = [
            proxy.from_address("127.0.0.4").send("POST", "/auth/login", body) for _ in range(11)
        ]
        right = body | {"password": PASSWORD}
        owner = proxy.from_address("127.0.0.5").send("POST", "/auth/login", right)
    assert ([one.status for one in tries], owner.status) == ([401] * 10 + [429], 200)


def change(proxy: Proxy, token: str) -> tuple[str, int, str]:
    """Make an item, read it, change it by its ETag; return the tag and how that went."""
    made = proxy.send("POST", "/items", ITEM, token=token)
    path = made.headers["Location"].removeprefix("/api")
    tag = str(proxy.send("GET", path, token=token, Accept_Encoding="gzip").headers["ETag"])
    changed = proxy.send("PATCH", path, {"quantity": 2}, token=token, If_Match=tag)
    return tag, changed.status, changed.body.get("detail", "")


def test_a_change_is_made_through_the_proxy_of_the_guide(
    service: Deployment, tmp_path: Path
) -> None:
    """It compresses other things, and leaves our answers alone (S-153)."""
    with nginx(tmp_path / "nginx", guide_snippet(PLAIN), upstream=service.service.port) as proxy:
        assert change(proxy, signed_in(proxy)) == ('"v1"', 200, "")


def test_a_change_is_refused_with_the_reason_when_a_proxy_compresses(
    service: Deployment, tmp_path: Path
) -> None:
    """NGINX weakens the ETag and does not heed `no-transform` (S-153, RFC 9110 13.1.1)."""
    with nginx(tmp_path / "nginx", COMPRESSED, upstream=service.service.port) as proxy:
        tag, status, detail = change(proxy, signed_in(proxy))
    assert (tag, status) == ('W/"v1"', 412)
    assert "came back weak" in detail


def test_what_is_made_under_a_path_is_found_where_the_answer_says(under_a_path: Proxy) -> None:
    """Through both kinds of proxy: sign in, create, follow `Location`."""
    token = signed_in(under_a_path, "/api")
    made = under_a_path.send("POST", "/api/items", ITEM, token=token)
    found = under_a_path.send("GET", made.headers["Location"], token=token)
    assert (found.status, found.body["id"]) == (200, made.body["id"])


@pytest.mark.parametrize("page", ["/docs", "/docs/explore", "/console", "/console/"])
def test_everything_that_a_page_names_is_found_under_a_path(under_a_path: Proxy, page: str) -> None:
    """Through both kinds of proxy."""
    answer = under_a_path.send("GET", f"/api{page}")
    named = re.findall(r'(?:src|href|data-spec)="(/[^"]*)"', answer.content.decode())
    assert answer.status == 200
    assert {under_a_path.send("GET", address).status for address in named} == {200}


def test_metadata_is_found_where_clients_look_under_a_path(under_a_path: Proxy) -> None:
    """RFC 8414 section 3.1, and appended as older clients have it."""
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
def test_nothing_else_is_served_under_a_path(under_a_path: Proxy, path: str) -> None:
    """Not twice the path, nor beside it: a proxy's own rules for one address hold (S-006)."""
    token = signed_in(under_a_path, "/api")
    assert under_a_path.send("GET", path, token=token).status == 404


@pytest.mark.parametrize("path", ["/api/items", "/api//items", "/api/x/../items", "/api%2Fitems"])
def test_every_spelling_of_an_address_meets_its_rule_under_a_path(
    under_a_path: Proxy, path: str
) -> None:
    """S-006: as nginx reads it, or as we do."""
    assert under_a_path.send("GET", path).status in {401, 404}


@pytest.mark.parametrize("path", ["/", "/auth/login", "/items", "/.well-known/jwks.json"])
def test_plain_http_is_answered_with_an_error(
    service: Deployment, tmp_path: Path, path: str
) -> None:
    """S-142: no redirect, which would hide that the token was sent in clear."""
    with nginx(
        tmp_path / "nginx", guide_snippet(UNENCRYPTED), upstream=service.service.port
    ) as proxy:
        answer = proxy.send("GET", path, token="seen.by.everybody")
        assert (answer.status, answer.headers["Location"]) == (403, None)
