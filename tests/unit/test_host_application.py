"""An application of somebody else behind our server."""

from typing import Any

import pytest
from flask import Flask
from werkzeug.test import Client

from itemsapi import AuthLayer, public
from itemsapi.problems import BodyTooLarge
from itemsapi.rest.middleware import SERVER_PROBLEM
from itemsapi.server.host_application import HostApplication, behind_server
from itemsapi.settings import Settings
from support.app_factory import Backend


@pytest.fixture
def host() -> Flask:
    """An application of somebody else, with the layer."""
    app = Flask("host")
    settings = Settings(secret_key="t3st-only-0123456789-abcdefghijklmnopqrstuvwxyz")
    AuthLayer(app, settings=settings, rules={"page": public("a test"), "static": public("a test")})
    app.add_url_rule("/", "page", lambda: "<h1>Hello</h1>", methods=["GET", "POST"])
    return app


def test_a_request_reaches_the_application_of_the_host(host: Flask) -> None:
    """Its response is not changed."""
    response = Client(behind_server(host)).get("/")
    assert (response.status_code, response.data) == (200, b"<h1>Hello</h1>")


def test_a_request_that_the_server_rejects_does_not_reach_it(host: Flask) -> None:
    """R-14: such as one whose body does not arrive; the response is a problem."""
    environ: dict[str, Any] = {SERVER_PROBLEM: BodyTooLarge()}
    response = Client(behind_server(host)).post("/", environ_overrides=environ)
    assert (response.status_code, response.content_type) == (413, "application/problem+json")


@pytest.mark.dialect("sqlite")
def test_our_own_application_has_a_middleware_for_that(backend: Backend, host: Flask) -> None:
    """It is served as it is."""
    assert behind_server(backend.app) is backend.app
    assert isinstance(behind_server(host), HostApplication)
