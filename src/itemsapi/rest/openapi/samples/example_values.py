"""Examples of values, made from their JSON Schema where the document has none."""

from collections.abc import Mapping
from typing import Any

# Parts of a JSON document have no static type.
Json = Any

MAX_DEPTH = 8  # a schema may contain itself
TEXTS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "email": "ada@example.org",
    "time": "12:00:00",
    "uri": "https://example.org/",
    "uuid": "01960a3b-9a10-7f02-8a55-6b1f0c9d2e10",
}


def resolve(document: Mapping[str, Json], value: Json) -> Json:
    """Return what a `$ref` within the document names; other values as they are."""
    for _ in range(MAX_DEPTH):
        reference = value.get("$ref") if isinstance(value, Mapping) else None
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return value
        value = document
        for part in reference[2:].split("/"):
            value = value.get(part.replace("~1", "/").replace("~0", "~"), {})
    return {}


def media_example(document: Mapping[str, Json], media: Mapping[str, Json]) -> Json:
    """Return the example of a media type object, or one that is made from its schema."""
    if "example" in media:
        return media["example"]
    for example in media.get("examples", {}).values():
        return resolve(document, example).get("value")
    return example_value(document, media.get("schema", {}))


def example_value(document: Mapping[str, Json], schema: Json, depth: int = 0) -> Json:
    """Return a value that a schema allows, as small as possible; None where it cannot be told."""
    schema = resolve(document, schema)
    if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
        return None
    for keyword in ("example", "default", "const"):
        if keyword in schema:
            return schema[keyword]
    for keyword in ("examples", "enum"):
        if schema.get(keyword):
            return schema[keyword][0]
    for keyword in ("oneOf", "anyOf", "allOf"):
        if schema.get(keyword):
            return _combined(document, keyword, schema[keyword], depth)
    return _of_type(document, schema, depth)


def _combined(document: Mapping[str, Json], keyword: str, schemas: Json, depth: int) -> Json:
    values = [example_value(document, each, depth + 1) for each in schemas]
    if keyword != "allOf":
        return values[0]
    objects = [value for value in values if isinstance(value, Mapping)]
    return {name: value for each in objects for name, value in each.items()} or values[0]


def _of_type(document: Mapping[str, Json], schema: Mapping[str, Json], depth: int) -> Json:
    kind = schema.get("type", "object" if "properties" in schema else None)
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "object":
        names = schema.get("required") or list(schema.get("properties", {}))[:1]
        properties = schema.get("properties", {})
        return {name: example_value(document, properties.get(name), depth + 1) for name in names}
    if kind == "array":
        return [example_value(document, schema.get("items", {}), depth + 1)]
    if kind == "string":
        text = TEXTS.get(schema.get("format", ""), "text")
        return text.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength")]
    if kind in {"integer", "number"}:
        positive = max(schema.get("minimum", 1), 1)
        return min(positive, schema.get("maximum", positive))
    return True if kind == "boolean" else None
