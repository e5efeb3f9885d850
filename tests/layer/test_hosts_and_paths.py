"""Where the application is: trusted hosts, subdomains, hosts, an application root."""

from collections.abc import Callable

import pytest
from flask import Flask

from itemsapi import AuthLayer, public
from itemsapi.settings import Settings
from support.app_factory import Backend

Protect = Callable[..., Backend]

pytestmark = pytest.mark.dialect("sqlite")

PREFLIGHT = {"Access-Control-Request-Method": "POST", "Origin": "https://spa.example"}


def make_host(**options: bool) -> Flask:
    """Return an application with one route."""
    app = Flask("host", static_folder=None, **options)  # type: ignore[arg-type]  # all are switches
    app.add_url_rule("/page", "page", public("a test")(lambda: "page"))
    return app


@pytest.mark.parametrize("host", ["evil.example", "a b", "shop.example:port"])
@pytest.mark.parametrize("path", ["/auth/login", "/page", "/nowhere"])
def test_a_preflight_to_an_untrusted_host_is_refused_as_flask_does(
    protect: Protect, host: str, path: str
) -> None:
    """It is no failure of the gate (S-003)."""
    app = make_host()
    app.config["TRUSTED_HOSTS"] = ["shop.example"]
    client = protect(app, whole_app=True).client()
    assert client.options(path, headers=PREFLIGHT | {"Host": host}).status_code == 400


def test_a_preflight_to_a_trusted_host_is_answered(protect: Protect) -> None:
    """By the gate, as without the list (S-005)."""
    app = make_host()
    app.config["TRUSTED_HOSTS"] = ["shop.example"]
    client = protect(app, whole_app=True).client()
    assert client.options("/page", headers=PREFLIGHT | {"Host": "shop.example"}).status_code == 204


def test_an_application_that_matches_hosts_is_refused(settings: Settings) -> None:
    """Nobody could sign in: a route without a host matches no request."""
    app = Flask("shop", static_folder=None, host_matching=True)
    with pytest.raises(RuntimeError, match=r"shop has host_matching, so .* use subdomain_matching"):
        AuthLayer(app, settings=settings)


@pytest.mark.parametrize("late", [False, True])
def test_a_second_layer_is_refused(settings: Settings, *, late: bool) -> None:
    """Two gates would each check every request by other rules (S-001)."""
    app = Flask("shop", static_folder=None)
    auth = AuthLayer(app, settings=settings)
    with pytest.raises(RuntimeError, match="shop has an AuthLayer already; give all options"):
        auth.init_app(app) if late else AuthLayer(app, settings=settings)


def test_the_layer_is_at_the_root_of_an_application_with_subdomains(protect: Protect) -> None:
    """Its routes have no subdomain."""
    app = make_host(subdomain_matching=True)
    app.config["SERVER_NAME"] = "shop.example"
    client = protect(app).client()
    urls = ["http://shop.example", "http://api.shop.example"]
    assert [client.get("/me", base_url=url).status_code for url in urls] == [401, 404]


def test_an_application_root_changes_no_path_of_the_layer(protect: Protect) -> None:
    """It is for addresses made outside of requests, and for the session cookie."""
    app = make_host()
    app.config["APPLICATION_ROOT"] = "/shop"
    client = protect(app).client()
    assert [client.get(path).status_code for path in ("/me", "/shop/me")] == [401, 404]
