"""Origins that resemble an allowed one."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from support.app_factory import Backend
from support.browser_client import APP_ORIGIN, FAR_ORIGIN

pytestmark = pytest.mark.dialect("sqlite")  # CORS does not depend on the database

ALLOW = "Access-Control-Allow-Origin"
LOOKALIKES = [
    "null",
    "*",
    "",
    "https://app.example.evil.example",
    "https://evil-app.example",
    "https://evilapp.example",
    "https://sub.app.example",
    "https://app.exampl",
    "https://app.example.",
    "https://app.example/",
    "https://app.example/path",
    "https://APP.example",
    "HTTPS://app.example",
    "https://app.example:443",
    "https://app.example:8443",
    "http://app.example",
    "ftp://app.example",
    "https://user@app.example",
    "https://app.example@evil.example",
    "https://app.example%00.evil.example",
    "https://app.example evil.example",
    "https://app.example, https://evil.example",
    "https://evil.example, https://app.example",
    "https://app_example",
    "https://appxexample",
    "https://\u0430pp.example",  # a Cyrillic letter
    "https://xn--pp-8cd.example",  # the same as browsers send it
    "app.example",
    "https://127.0.0.1",
    "file://",
    "chrome-extension://abcdef",
    "https://app.example" + "." + "a" * 7000,
]


@pytest.fixture
def client(make_backend: Callable[..., Backend]) -> FlaskClient:
    """A client of a backend that lists two origins."""
    return make_backend(
        allowed_origins=(APP_ORIGIN, FAR_ORIGIN), cross_site_origins=(FAR_ORIGIN,)
    ).client()


def cors_headers(answer_headers: object) -> list[str]:
    """Return the names of the CORS headers of a response."""
    names = dict(answer_headers)  # type: ignore[call-overload]
    return [name for name in names if name.startswith("Access-Control-")]


@pytest.mark.parametrize("path", ["/health/live", "/auth/refresh", "/nowhere"])
def test_a_similar_origin_may_not_read(client: FlaskClient, path: str) -> None:
    """S-093: suffix, prefix, case, port, scheme, null, IDN, 7 KB."""
    for origin in LOOKALIKES:
        response = client.get(path, headers={"Origin": origin.encode().decode("latin-1")})
        assert cors_headers(response.headers) == [], origin


def test_a_preflight_of_a_similar_origin_allows_nothing(client: FlaskClient) -> None:
    """S-093: the response has no CORS header."""
    for origin in LOOKALIKES:
        preflight_headers = {"Access-Control-Request-Method": "POST"}
        origin_header = {"Origin": origin.encode().decode("latin-1")}
        response = client.options("/auth/refresh", headers=origin_header | preflight_headers)
        assert cors_headers(response.headers) == [], origin


def test_an_origin_of_ten_kilobytes_is_rejected(client: FlaskClient) -> None:
    """S-093: no header field may be that long."""
    response = client.get("/health/live", headers={"Origin": APP_ORIGIN + "a" * 10_000})
    assert response.status_code == 431
    assert cors_headers(response.headers) == []


def test_an_origin_is_never_reflected(client: FlaskClient) -> None:
    """S-093: nowhere in the response, body included."""
    response = client.get("/nowhere", headers={"Origin": "https://evil.example"})
    assert "evil" not in response.get_data(as_text=True) + str(response.headers)


def test_every_response_varies_by_origin(client: FlaskClient) -> None:
    """S-093: `Vary` is sent with any origin and with none, or a cache would mix them up."""
    for origin in [APP_ORIGIN, *LOOKALIKES[:3], None]:
        response = client.get("/health/live", headers={"Origin": origin} if origin else {})
        assert "Origin" in response.headers["Vary"]


def test_nothing_is_allowed_when_no_origin_is_listed(make_backend: Callable[..., Backend]) -> None:
    """S-093: closed by default."""
    response = make_backend().client().get("/health/live", headers={"Origin": APP_ORIGIN})
    assert cors_headers(response.headers) == []


@pytest.mark.parametrize(
    ("public_url", "origin", "welcome"),
    [
        ("http://localhost:80", "http://localhost", 401),
        ("https://api.example:443", "https://api.example", 401),
        ("http://localhost:443", "http://localhost", 403),
        ("http://localhost:81", "http://localhost", 403),
        ("http://localhost:81", "http://localhost:81", 401),
        ("http://[::1]:80", "http://[::1]", 401),
    ],
)
def test_our_own_origin_is_allowed_without_its_default_port(
    make_backend: Callable[..., Backend], public_url: str, origin: str, welcome: int
) -> None:
    """RFC 6454 6.2: browsers omit it; 401 as there is no cookie, 403 for another origin."""
    client = make_backend(public_url=public_url).client()
    headers = {"X-Auth-Delivery": "cookie", "Origin": origin}
    assert client.post("/auth/refresh", json={}, headers=headers).status_code == welcome
