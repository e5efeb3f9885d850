"""The tags of the document: the names and groups of its menu."""

import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from itemsapi import Blueprint, public
from itemsapi.rest.openapi.document import document_of
from support.echo_blueprint import create_echo_app

ON_REQUEST = public("a test")

order_lines = Blueprint("order_lines", __name__)
sessions = Blueprint("sessions", __name__, url_prefix="/meetings", title="Meetings")
leaflets = Blueprint("leaflets", __name__, documented=False)


@order_lines.get("/lines")
@ON_REQUEST
def list_lines() -> object:
    """List lines."""


@order_lines.get("/returns", tags=["Returns"])
@ON_REQUEST
def list_returns() -> object:
    """List returns."""


@sessions.get("")
@ON_REQUEST
def list_meetings() -> object:
    """List meetings: a blueprint with the name of one of the layer."""


@leaflets.get("/leaflet")
@ON_REQUEST
def leaflet() -> object:
    """Show a leaflet."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """An application with blueprints of its own."""
    return create_echo_app(tmp_path_factory.mktemp("data"), order_lines, sessions, leaflets)


@pytest.fixture(scope="module")
def document(app: Flask) -> dict[str, Any]:
    """The served document."""
    return dict(json.loads(document_of(app).body))


@pytest.fixture(scope="module")
def headings(document: dict[str, Any]) -> dict[str, str]:
    """The headings of the tags, by name."""
    return {tag["name"]: tag["x-displayName"] for tag in document["tags"]}


@pytest.fixture(scope="module")
def groups(document: dict[str, Any]) -> dict[str, list[str]]:
    """The tags of each group, by the name of the group."""
    return {group["name"]: group["tags"] for group in document["x-tagGroups"]}


def test_tags_of_the_layer_have_titles_that_people_read(headings: dict[str, str]) -> None:
    """No name of a module."""
    assert headings["wellknown"] == "Public keys and metadata"
    assert {"me", "wellknown", "auth"}.isdisjoint(headings.values())


def test_a_tag_without_title_is_headed_by_its_name_in_words(headings: dict[str, str]) -> None:
    """Blueprints of an application need no title."""
    assert (headings["order_lines"], headings["Returns"]) == ("Order lines", "Returns")


def test_every_tag_is_in_one_group(headings: dict[str, str], groups: dict[str, list[str]]) -> None:
    """ReDoc hides a tag that is in none."""
    assert sorted(tag for tags in groups.values() for tag in tags) == sorted(headings)


def test_endpoints_of_the_application_are_the_first_group(groups: dict[str, list[str]]) -> None:
    """What is in no group of its own."""
    name, tags = next(iter(groups.items()))
    assert (name, {"echo", "items", "order_lines", "Returns"} <= {*tags}) == ("Endpoints", True)


def test_tags_of_one_name_stay_apart_when_one_is_of_the_layer(headings: dict[str, str]) -> None:
    """The application keeps its name."""
    assert headings["sessions"] == "Meetings"
    assert headings["itemsapi.sessions"] == "Your sessions"


def test_a_tag_that_is_no_blueprint_has_no_description(document: dict[str, Any]) -> None:
    """Nothing is known of it."""
    tags = {tag["name"]: tag for tag in document["tags"]}
    assert "description" not in tags["Returns"]


def test_groups_of_the_application_come_first(tmp_path: Path) -> None:
    """What they name is in no second group."""
    app = create_echo_app(tmp_path, order_lines)
    own = {"name": "Shop", "tags": ["order_lines", "users"]}
    app.config["ITEMSAPI_API_SPEC_OPTIONS"] = {"x-tagGroups": [own]}
    first, *others = json.loads(document_of(app).body)["x-tagGroups"]
    assert first == own
    assert not {"order_lines", "users"} & {tag for group in others for tag in group["tags"]}


def test_pages_and_files_are_no_operations(app: Flask, document: dict[str, Any]) -> None:
    """Files of the docs, the explorer, the console and the client, and of an application."""
    files = {"/docs", "/openapi.json", "/console", "/client.js", "/docs/problems", "/leaflet"}
    assert files <= {route.rule for route in app.url_map.iter_rules()}
    assert not [path for path in document["paths"] if path.startswith(tuple(files))]
