"""Links of the document: which operation takes what a response has.

From what is created to the operation that shows it, and from the tokens of a response to the
refresh. The application needs to declare nothing.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from itemsapi.rest.openapi.samples.example_values import resolve
from itemsapi.rest.request import JSON

# Parts of a JSON document have no static type.
Json = Any

LAST_PARAMETER = re.compile(r"(?P<collection>.*)/\{(?P<name>[^{}/]+)\}")
REFRESH_TOKEN = "refresh_token"  # noqa: S105 - the name of a field


def add_links(document: Mapping[str, Json]) -> None:
    """Add the links to the responses of a document, which its operations have ids for."""
    showing = dict(_showing(document["paths"]))
    refresh = _refresh_operation(document)
    for path, item in document["paths"].items():
        for operation in item.values():
            created, succeeded = (operation["responses"].get(status) for status in ("201", "200"))
            if path in showing and "id" in _properties(document, created):
                created.setdefault("links", {}).setdefault("show", _link_to(*showing[path]))
            if refresh and REFRESH_TOKEN in _properties(document, succeeded):
                body = {REFRESH_TOKEN: f"$response.body#/{REFRESH_TOKEN}"}
                link = {"operationId": refresh, "requestBody": body}
                succeeded.setdefault("links", {}).setdefault("refresh", link)


def _showing(paths: Mapping[str, Json]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the path of each collection, with the operation that shows a member, and its id."""
    for path, item in paths.items():
        found = LAST_PARAMETER.fullmatch(path)
        if found and "get" in item and "{" not in found["collection"]:
            yield found["collection"], (item["get"]["operationId"], found["name"])


def _link_to(operation_id: str, parameter: str) -> dict[str, Json]:
    return {"operationId": operation_id, "parameters": {parameter: "$response.body#/id"}}


def _refresh_operation(document: Mapping[str, Json]) -> str | None:
    """Return the id of the operation that takes a refresh token as JSON, if there is one."""
    for item in document["paths"].values():
        for operation in item.values():
            media = operation.get("requestBody", {}).get("content", {}).get(JSON, {})
            schema = resolve(document, media.get("schema", {}))
            properties = schema.get("properties", {})
            if operation["x-access"] == "refresh token" and REFRESH_TOKEN in properties:
                return str(operation["operationId"])
    return None


def _properties(document: Mapping[str, Json], response: Json) -> Mapping[str, Json]:
    """Return the properties of the JSON of a response; a shared response has no links."""
    content = response.get("content", {}) if isinstance(response, dict) else {}
    schema = resolve(document, content.get(JSON, {}).get("schema", {}))
    properties: Mapping[str, Json] = schema.get("properties", {})
    return properties
