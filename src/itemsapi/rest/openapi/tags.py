"""Tags of the document: the parts of its menu, with names and groups that people read.

A tag is named after a blueprint. `x-displayName` is its heading and `x-tagGroups` are the groups of
the menu, both in the form of ReDoc. ReDoc hides a tag that is in no group, so every tag is in one:
those without a group of their own are in the first.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from flask import Flask
from flask.sansio.blueprints import Blueprint as FlaskBlueprint

from itemsapi.gate.shadowed_routes import LAYER_PREFIX
from itemsapi.rest.openapi.names import unique_name
from itemsapi.rest.openapi.operations import documented_text, summary_and_description

ENDPOINTS = "Endpoints"  # the group of tags that have none
DISPLAY_NAME = "x-displayName"
TAG_GROUPS = "x-tagGroups"
NO_BLUEPRINT = "other"  # the tag of routes that belong to no blueprint

Tag = dict[str, Any]


class Tags:
    """The tags of one document."""

    def __init__(self, app: Flask) -> None:
        """Take the application, with all its blueprints."""
        self._blueprints: Mapping[str, FlaskBlueprint] = app.blueprints
        self._by_name: dict[str, FlaskBlueprint] = {}  # the blueprints by the names of their tags

    def describe(self, operations: Iterable[dict[str, Any]]) -> list[Tag]:
        """Return the tags of operations in their order; tags of the layer lose its prefix.

        If the application has a tag of the same name, the one of the layer keeps the prefix.
        """
        operations = list(operations)
        used = dict.fromkeys(tag for operation in operations for tag in operation["tags"])
        names = {tag: self._name(tag, used) for tag in used}
        self._by_name = {names[tag]: b for tag in used if (b := self._blueprint(tag)) is not None}
        for operation in operations:
            operation["tags"] = [names[tag] for tag in operation["tags"]]
        return [self._describe(name) for name in dict.fromkeys(names.values())]

    def complete(self, tags: Iterable[Tag]) -> None:
        """Add the titles of our blueprints to the tags of another document, where it has none."""
        for tag in tags:
            title = getattr(self._find(tag["name"]), "title", "")
            if title:
                tag.setdefault(DISPLAY_NAME, title)

    def groups(
        self, tags: Iterable[Tag], given: Iterable[Mapping[str, Any]] = ()
    ) -> list[dict[str, Any]]:
        """Return the groups of tags, each tag in exactly one, after the `given` groups."""
        groups: dict[str, list[str]] = {each["name"]: list(each["tags"]) for each in given}
        grouped = {name for names in groups.values() for name in names}
        names = [tag["name"] for tag in tags if tag["name"] not in grouped]
        for name in sorted(names, key=lambda name: self.group_of(name) != ""):  # Endpoints first
            groups.setdefault(self.group_of(name) or ENDPOINTS, []).append(name)
        return [{"name": group, "tags": members} for group, members in groups.items()]

    def group_of(self, name: str) -> str:
        """Return the group of a tag, if its blueprint has one."""
        return str(getattr(self._find(name), "group", ""))

    def _name(self, tag: str, used: Mapping[str, object]) -> str:
        short = tag.removeprefix(LAYER_PREFIX)
        return tag if short == tag else unique_name([short, tag], {*used} - {tag})

    def _describe(self, name: str) -> Tag:
        blueprint = self._find(name)
        tag = {"name": name, DISPLAY_NAME: getattr(blueprint, "title", "") or _heading(name)}
        description = next(_descriptions(name, blueprint), None)
        return tag if description is None else {**tag, "description": description}

    def _find(self, name: str) -> FlaskBlueprint | None:
        return self._by_name.get(name) or self._blueprint(name)

    def _blueprint(self, tag: str) -> FlaskBlueprint | None:
        """Return the blueprint that a tag is named after, which may be nested in another one."""
        found = self._blueprints.get(tag)
        if found is not None:
            return found
        items = self._blueprints.items()
        return next((b for name, b in items if name.rpartition(".")[2] == tag), None)


def _heading(name: str) -> str:
    """Return the name of a tag as words: `order_lines` is "Order lines"."""
    words = name.replace("_", " ").replace("-", " ").strip() or name
    return words[:1].upper() + words[1:]


def _descriptions(name: str, blueprint: FlaskBlueprint | None) -> Iterator[str]:
    """Yield the description of a blueprint, then the first line of its module's docstring."""
    if blueprint is None:
        if name == NO_BLUEPRINT:
            yield "Paths that belong to no blueprint."
        return
    if description := getattr(blueprint, "description", ""):
        yield description
    text = documented_text(sys.modules.get(blueprint.import_name))
    yield f"{summary_and_description(text, f'The blueprint {name}')[0]}."
