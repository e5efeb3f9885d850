"""Schemas as the document shows them: one shape for what goes in, another for what comes out.

What plain apispec gets wrong for us is put right here: fields of answers are required, answers hold
nothing else, decimals are strings, and every shape has a name of its own (`OrderIn`, `OrderPatch`,
`Order`), never `Order1`.
"""

# ruff: noqa: ANN401 - apispec hands schemas and fields on untyped

from typing import Any, Literal

import apispec.ext.marshmallow
import marshmallow
from apispec import APISpec
from apispec.ext.marshmallow.common import make_schema_key, resolve_schema_instance
from apispec.ext.marshmallow.field_converter import DEFAULT_FIELD_MAPPING
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from apispec.ext.marshmallow.schema_resolver import SchemaResolver as ApispecResolver
from marshmallow import EXCLUDE, INCLUDE

from itemsapi.rest import fields

Direction = Literal["in", "out"]


class SchemaConverter(OpenAPIConverter):
    """Turns schemas of one direction into JSON Schema and collects those with a name."""

    field_mapping = {  # noqa: RUF012 - apispec declares it so
        **DEFAULT_FIELD_MAPPING,
        marshmallow.fields.Url: ("string", "uri"),
        fields.DateTime: ("string", "date-time"),
        fields.Decimal: ("string", None),
        fields.Id: ("string", "uuid"),
    }

    direction: Direction = "in"

    def __init__(self, openapi_version: Any, schema_name_resolver: Any, spec: APISpec) -> None:
        """Collect named schemas in the components of `spec`."""
        del schema_name_resolver
        self._names: dict[Direction, dict[Any, str]] = {"in": {}, "out": {}}
        super().__init__(openapi_version, self._name, spec)

    @property
    def refs(self) -> dict[Any, str]:
        """The names of the schemas of this direction that are in the components."""
        return self._names[self.direction]

    @refs.setter
    def refs(self, value: object) -> None:
        """Ignore apispec's own, which knows no direction."""

    def resolve_nested_schema(self, schema: Any) -> Any:
        """Put the shape among the components at its first use; one without a name stays inline."""
        instance = resolve_schema_instance(schema)
        key = make_schema_key(instance)
        if key not in self.refs:
            name = self._name(instance)
            if name is None:
                inline = self.schema2jsonschema(instance)
                return {"type": "array", "items": inline} if instance.many else inline
            self.refs[key] = name
            self.spec.components.schema(name, self.schema2jsonschema(instance))
        return self.get_ref_dict(instance)  # type: ignore[no-untyped-call]  # apispec

    def schema2jsonschema(self, schema: Any) -> dict[str, Any]:
        """Return the JSON Schema of one object."""
        shape: dict[str, Any] = super().schema2jsonschema(schema)  # type: ignore[no-untyped-call]
        lenient = {INCLUDE, EXCLUDE} if self.direction == "in" else {INCLUDE}
        shape["additionalProperties"] = schema.unknown in lenient
        if "description" not in shape and (words := _first_line(schema)):
            shape["description"] = words
        return shape

    def fields2jsonschema(self, fields: Any, *, partial: Any = None) -> dict[str, Any]:
        """Return the properties that go this way, and which of them are always there."""
        one_way = {
            name: field
            for name, field in fields.items()
            if not (field.dump_only if self.direction == "in" else field.load_only)
        }
        shape: dict[str, Any] = super().fields2jsonschema(one_way, partial=partial)  # type: ignore[no-untyped-call]
        if self.direction == "out":
            shape["required"] = sorted(
                field.data_key or name
                for name, field in one_way.items()
                if not field.metadata.get("optional")
            )
        return shape

    def field2type_and_format(self, field: Any, **kwargs: Any) -> dict[str, Any]:
        """Return type, format, and the pattern of those that are text with a shape."""
        if getattr(field, "as_string", False):  # marshmallow's own numbers, sent as text
            return {"type": "string"}
        found: dict[str, Any] = super().field2type_and_format(field, **kwargs)
        pattern = getattr(field, "pattern", None)
        return found | {"pattern": pattern} if pattern else found

    def field2range(self, field: Any, ret: Any) -> dict[str, Any]:
        """Return the bounds of a number; whole ones always have some."""
        found: dict[str, Any] = super().field2range(field, ret)
        if isinstance(field, fields.Integer):
            found.setdefault("minimum", -fields.GREATEST)
            found.setdefault("maximum", fields.GREATEST)
        return found

    def field2pattern(self, field: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the pattern as JSON Schema has it (ECMA-262): there `$` alone ends a text."""
        found: dict[str, Any] = super().field2pattern(field, **kwargs)
        return {name: pattern.replace(r"\Z", "$") for name, pattern in found.items()}

    def field2default(self, field: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the default; `null` only repeats that the field may be left out."""
        found: dict[str, Any] = super().field2default(field, **kwargs)
        return {} if found.get("default") is None else found

    def field2read_only(self, field: Any, **kwargs: Any) -> dict[str, Any]:
        """Say nothing: what goes one way only is missing from the other shape."""
        del field, kwargs
        return {}

    field2write_only = field2read_only

    def schema2parameters(self, schema: Any, *, location: str, **kwargs: Any) -> list[Any]:
        """Return each field as a parameter; one that may be left out is not null instead."""
        del kwargs
        found = super().schema2parameters(schema, location=location)
        for parameter in found:
            _drop_null(parameter["schema"])
        return list(found)

    def _name(self, schema: marshmallow.Schema) -> str | None:
        if schema.only is not None or schema.exclude:
            return None
        name = type(schema).__name__.removesuffix("Schema") or "Body"
        if self.direction == "in":
            stem = name.removesuffix("In")
            name = f"{stem}Patch" if schema.partial and not stem.endswith("Patch") else name
            name = name if name.endswith(("In", "Patch")) else f"{name}In"
        if name in self.spec.components.schemas:  # another page's schema of the same name
            name = f"{type(schema).__module__.rpartition('.')[2].title().replace('_', '')}{name}"
        return name


def _first_line(schema: marshmallow.Schema) -> str:
    return (type(schema).__doc__ or "").strip().partition("\n")[0]


def _drop_null(shape: dict[str, Any]) -> None:
    if isinstance(shape.get("type"), list):
        shape["type"] = next(kind for kind in shape["type"] if kind != "null")
    if "enum" in shape:
        shape["enum"] = [choice for choice in shape["enum"] if choice is not None]


class SchemaResolver(ApispecResolver):
    """Resolves the schemas of responses in the other direction than those of requests."""

    def resolve_response(self, response: Any) -> None:
        """Put the schemas of a response among the components."""
        self.converter.direction = "out"
        try:
            super().resolve_response(response)  # type: ignore[no-untyped-call]  # apispec
        finally:
            self.converter.direction = "in"


class SchemaPlugin(apispec.ext.marshmallow.MarshmallowPlugin):
    """apispec's plugin for marshmallow, with a schema for each direction."""

    Converter = SchemaConverter
    Resolver = SchemaResolver

    def header_helper(self, header: Any, **kwargs: Any) -> Any:
        """Resolve the schema of a header of a response."""
        assert isinstance(self.converter, SchemaConverter)  # noqa: S101 - the spec has been made
        self.converter.direction = "out"
        try:
            return super().header_helper(header, **kwargs)
        finally:
            self.converter.direction = "in"
