"""The start page `/` of the service: where its pages and its description are."""

import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from itemsapi import Blueprint, public
from support.app_factory import Backend
from support.host import HostFactory

pytestmark = pytest.mark.dialect("sqlite")  # nothing here depends on the database

Build = Callable[..., Backend]
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def links(client: FlaskClient) -> list[str]:
    """Return the targets of the links of the page."""
    return re.findall(r'<a href="([^"]+)"', client.get("/", headers=BROWSER).text)


@pytest.mark.parametrize("headers", [{}, {"Accept": "*/*"}, {"Accept": "application/json"}])
def test_a_program_gets_json(api: FlaskClient, headers: dict[str, str]) -> None:
    """Paths of pages and files; as from curl."""
    response = api.get("/", headers=headers)
    assert response.get_json()["openapi"] == "/openapi.json"


def test_a_browser_gets_a_page(api: FlaskClient) -> None:
    """It links to the pages for people, and nothing else is loaded."""
    response = api.get("/", headers=BROWSER)
    assert response.content_type == "text/html; charset=utf-8"
    assert "default-src 'none'; style-src 'sha256-" in response.headers["Content-Security-Policy"]


def test_caches_tell_browsers_from_programs(api: FlaskClient) -> None:
    """RFC 9110 section 12.5.5."""
    assert "Accept" in api.get("/").headers["Vary"]


def test_every_link_of_the_page_leads_somewhere(api: FlaskClient) -> None:
    """Each without a token."""
    assert {api.get(path).status_code for path in links(api)} == {200}


def test_the_page_links_to_what_is_turned_on(make_backend: Build) -> None:
    """Neither docs nor console."""
    client = make_backend(docs=False, console=False).client()
    assert links(client) == ["/.well-known/oauth-authorization-server"]
    assert [*client.get("/").get_json()] == ["oauth_metadata"]


def test_the_links_begin_with_the_public_path(make_backend: Build) -> None:
    """Whether the proxy removes the path or not."""
    client = make_backend(public_url="https://host.example/api").client()
    assert "/api/docs" in links(client)


def test_a_blueprint_may_have_the_start_page(make_backend: Build) -> None:
    """Then the service has none of its own."""
    own = Blueprint("own", __name__)
    own.get("/")(public("it welcomes people")(own.response(200)(lambda: {"own": True})))
    assert make_backend(own).client().get("/").get_json() == {"own": True}


def test_an_application_with_the_layer_gets_no_start_page(host: HostFactory) -> None:
    """Its paths are its own."""
    assert host(include=["docs", "console"]).client().get("/").status_code == 404
