"""The object that a path names: one that this run made, or, to read, one that a list shows.

Operations that change something are sent only to objects that this run made: an attack that gets
through must not destroy anything.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from itemsapi.verify.callers import Callers
from itemsapi.verify.document import Document, Json, Operation
from itemsapi.verify.generated_requests import RequestMaker
from itemsapi.verify.settings import VerifySettings
from itemsapi.verify.wire import Request, Response

_NAMING_PARAMETERS: Final = frozenset({"name", "slug", "key", "code"})
_ITEM_KEYS: Final = ("items", "results", "data")


@dataclass(frozen=True, slots=True)
class ObjectFinder:
    """Make or find objects through the operations of the same service."""

    document: Document
    maker: RequestMaker
    callers: Callers
    settings: VerifySettings

    def request_for(self, operation: Operation, who: str) -> Request | None:
        """Return a request of an operation on an object of a user; None if there is no object."""
        values = self.settings.values_for(operation.label)
        path_values: dict[str, Json] = {}
        for name in operation.path_parameters:
            if name in values.path:
                path_values[name] = values.path[name]
                continue
            found = self._object(operation, name, path_values, who)
            if found is None:
                return None
            path_values[name] = found
        request = self.maker.make(operation, path_values, values)
        return self._with_version(operation, request, path_values, who) if request else None

    def _object(
        self, operation: Operation, name: str, outer: Mapping[str, Json], who: str
    ) -> Json | None:
        item_path = operation.path.partition(f"{{{name}}}")[0] + f"{{{name}}}"
        if self.settings.write:
            made = self._created(operation, item_path, name, outer, who)
            if made is not None:
                return made
        return self._listed(item_path, name, outer, who) if operation.is_safe else None

    def _created(
        self, target: Operation, item_path: str, name: str, outer: Mapping[str, Json], who: str
    ) -> Json | None:
        """Create an object: by a sign-in, by an operation that links here, by POST or PUT."""
        current = self.callers.tokens.get(who, self.callers.scopes_of(who))
        if current is not None and name in current.ids:
            fresh = self.callers.tokens.mint(who, self.callers.scopes_of(who))
            return fresh.ids.get(name) if fresh else None
        for producer, expression in _links(self.document, target, name):
            response = self._call(producer, outer, who)
            if response is not None and response.succeeded:
                return _linked_value(response, expression)
        collection = self.document.find("POST", item_path.rpartition("/")[0])
        if collection is not None:
            response = self._call(collection, outer, who)
            if response is not None and response.succeeded:
                return _identifier(response.json, name) or _from_location(response)
            return None
        putting = self.document.find("PUT", item_path)
        if putting is not None and name in _NAMING_PARAMETERS:
            chosen = self.maker.unique_name()
            response = self._call(putting, {**outer, name: chosen}, who)
            return chosen if response is not None and response.succeeded else None
        return None

    def _listed(
        self, item_path: str, name: str, outer: Mapping[str, Json], who: str
    ) -> Json | None:
        """Return the newest object that the collection shows to a user."""
        collection = self.document.find("GET", item_path.rpartition("/")[0])
        response = self._call(collection, outer, who) if collection else None
        if response is None or not response.succeeded:
            return None
        for item in reversed(_items(response.json)):
            found = _identifier(item, name)
            if found is not None:
                return found
        return None

    def _call(
        self, operation: Operation, path_values: Mapping[str, Json], who: str
    ) -> Response | None:
        request = self.maker.make(operation, path_values, self.settings.values_for(operation.label))
        if request is None:
            return None
        return self.callers.send_as(who, self.callers.scopes_of(who), request)

    def _with_version(
        self, operation: Operation, request: Request, path_values: Mapping[str, Json], who: str
    ) -> Request:
        """Add the version that was read, where an operation wants `If-Match` (RFC 9110 13.1.1)."""
        parameters = map(self.document.resolve, operation.definition["parameters"])
        if not any(str(p.get("name")).lower() == "if-match" for p in parameters):
            return request
        reading = self.document.find("GET", operation.path)
        response = self._call(reading, path_values, who) if reading else None
        return request.with_headers(If_Match=response.headers.get("etag", "*") if response else "*")


def _links(document: Document, target: Operation, name: str) -> list[tuple[Operation, str]]:
    """Return the operations whose responses link to an operation (OpenAPI 3.1, Link Object)."""
    found = []
    for producer in document.operations:
        for response in producer.definition.get("responses", {}).values():
            links = (document.resolve(response) or {}).get("links") or {}
            for link in map(document.resolve, links.values()):
                expression = (link.get("parameters") or {}).get(name)
                linked = link.get("operationId")
                if linked and linked == target.definition.get("operationId") and expression:
                    found.append((producer, str(expression)))
    return found


def _linked_value(response: Response, expression: str) -> Json | None:
    """Return what a runtime expression names: `$response.body#/id`, `$response.header.X-Id`."""
    if expression.startswith("$response.header."):
        return response.headers.get(expression.removeprefix("$response.header.").lower())
    value: Json = response.json
    for step in expression.partition("#")[2].split("/")[1:]:
        value = value.get(step) if isinstance(value, dict) else None
    return value if isinstance(value, (str, int)) else None


def _identifier(item: Json, name: str) -> Json | None:
    """Return the value of an object that a path parameter like `item_id` means."""
    if not isinstance(item, dict):
        return None
    for key in (name, "id", name.rpartition("_")[2], "uuid", "pk", "name"):
        if isinstance(item.get(key), (str, int)):
            return item[key]
    return None


def _from_location(response: Response) -> str | None:
    """Return the last segment of the `Location` of a new object."""
    found = re.search(r"/([^/?#]+)/?$", response.headers.get("location", ""))
    return found[1] if found else None


def _items(content: Json) -> list[Json]:
    if isinstance(content, list):
        return content
    if not isinstance(content, dict):
        return []
    lists = [content.get(key) for key in _ITEM_KEYS] + list(content.values())
    return next((value for value in lists if isinstance(value, list)), [])
