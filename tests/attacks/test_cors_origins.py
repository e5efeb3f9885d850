"""Origins that look like a listed one, and are not."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from support.app_factory import Backend
from support.browser_client import APP_ORIGIN, FAR_ORIGIN

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
def dialect() -> str:
    """CORS does not depend on the database."""
    return "sqlite"


@pytest.fixture
def client(make_backend: Callable[..., Backend]) -> FlaskClient:
    """A client of a backend that lists two origins."""
    return make_backend(
        allowed_origins=(APP_ORIGIN, FAR_ORIGIN), cross_site_origins=(FAR_ORIGIN,)
    ).client()


def cors(answer_headers: object) -> list[str]:
    """Return the names of the CORS headers of an answer."""
    names = dict(answer_headers)  # type: ignore[call-overload]
    return [name for name in names if name.startswith("Access-Control-")]


@pytest.mark.parametrize("path", ["/health/live", "/auth/refresh", "/nowhere"])
def test_no_lookalike_may_read(client: FlaskClient, path: str) -> None:
    """S-093: suffix, prefix, case, port, scheme, null, IDN, 7 KB."""
    for origin in LOOKALIKES:
        answer = client.get(path, headers={"Origin": origin.encode().decode("latin-1")})
        assert cors(answer.headers) == [], origin


def test_no_lookalike_passes_a_preflight(client: FlaskClient) -> None:
    """S-093: the answer to a foreign preflight allows nothing."""
    for origin in LOOKALIKES:
        asked = {"Access-Control-Request-Method": "POST"}
        said = {"Origin": origin.encode().decode("latin-1")}
        answer = client.options("/auth/refresh", headers=said | asked)
        assert cors(answer.headers) == [], origin


def test_an_origin_of_ten_kilobytes_is_refused(client: FlaskClient) -> None:
    """S-093: no header field may be that long."""
    answer = client.get("/health/live", headers={"Origin": APP_ORIGIN + "a" * 10_000})
    assert answer.status_code == 431
    assert cors(answer.headers) == []


def test_no_origin_is_ever_reflected(client: FlaskClient) -> None:
    """S-093: nowhere in the answer, body included."""
    answer = client.get("/nowhere", headers={"Origin": "https://evil.example"})
    assert "evil" not in answer.get_data(as_text=True) + str(answer.headers)


def test_answers_differ_by_origin_and_say_so(client: FlaskClient) -> None:
    """S-093: `Vary` stands there with any origin and with none, or a cache mixes them up."""
    for origin in [APP_ORIGIN, *LOOKALIKES[:3], None]:
        answer = client.get("/health/live", headers={"Origin": origin} if origin else {})
        assert "Origin" in answer.headers["Vary"]


def test_nothing_is_allowed_when_no_origin_is_listed(make_backend: Callable[..., Backend]) -> None:
    """S-093: closed by default."""
    answer = make_backend().client().get("/health/live", headers={"Origin": APP_ORIGIN})
    assert cors(answer.headers) == []


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
def test_our_own_pages_are_welcome_without_the_port_that_goes_without_saying(
    make_backend: Callable[..., Backend], public_url: str, origin: str, welcome: int
) -> None:
    """RFC 6454 6.2: browsers leave it out; 401 as there is no cookie, 403 for another origin."""
    client = make_backend(public_url=public_url).client()
    headers = {"X-Auth-Delivery": "cookie", "Origin": origin}
    assert client.post("/auth/refresh", json={}, headers=headers).status_code == welcome
