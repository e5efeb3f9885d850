"""Schemas of the document: one JSON Schema for input, another one for output.

This module corrects the defaults of apispec: fields of responses are required, responses have no
additional properties, decimals are strings, and every JSON Schema has its own name (`OrderIn`,
`OrderPatch`, `Order`), with the module's name if another one has it already (`ShopOrder`).
"""

# ruff: noqa: ANN401 - apispec passes schemas and fields untyped

from typing import Any, Literal

import apispec.ext.marshmallow
import marshmallow
from apispec import APISpec
from apispec.ext.marshmallow.common import make_schema_key, resolve_schema_instance
from apispec.ext.marshmallow.field_converter import DEFAULT_FIELD_MAPPING
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from apispec.ext.marshmallow.schema_resolver import SchemaResolver as ApispecResolver
from marshmallow import EXCLUDE, INCLUDE
from marshmallow.exceptions import RegistryError

from itemsapi.rest import fields
from itemsapi.rest.openapi.names import component_names, unique_name

# How OpenAPI calls a list in one parameter, by the delimiter of its values.
STYLES = {",": "form", " ": "spaceDelimited", "|": "pipeDelimited"}

Direction = Literal["in", "out"]


class SchemaConverter(OpenAPIConverter):
    """Converts schemas of one direction into JSON Schema and collects the named ones."""

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
        self._inline: set[tuple[Direction, Any]] = set()  # schemas that are being converted
        super().__init__(openapi_version, self._name, spec)

    @property
    def refs(self) -> dict[Any, str]:
        """The names of the schemas of this direction that are in the components."""
        return self._names[self.direction]

    @refs.setter
    def refs(self, value: object) -> None:
        """Ignore apispec's own dictionary, which does not separate directions."""

    def resolve_nested_schema(self, schema: Any) -> Any:
        """Return a reference to the schema, which is added to the components on first use.

        A schema with `only` or `exclude` stays inline, unless it contains itself.
        """
        try:
            instance = resolve_schema_instance(schema)
        except RegistryError:  # the name of a component
            return schema
        key = self._key(instance)
        is_part = instance.only is not None or bool(instance.exclude)
        if key in self.refs or not is_part or (self.direction, key) in self._inline:
            json_schema = self._reference(instance, key)
        else:
            json_schema = self._inline_schema(instance, key)
        return {"type": "array", "items": json_schema} if instance.many else json_schema

    def _reference(self, schema: marshmallow.Schema, key: Any) -> dict[str, Any]:
        if key not in self.refs:
            self.refs[key] = name = self._unused_name(schema)
            self.spec.components.schema(name, self.schema2jsonschema(schema))
        return self.spec.components.get_ref("schema", self.refs[key])

    def _key(self, schema: marshmallow.Schema) -> tuple[Any, ...]:
        """Return what distinguishes JSON Schemas of one class; apispec's key lacks `unknown`."""
        allows_more = self._allows_more(schema.unknown)
        is_usual = allows_more == self._allows_more(schema.opts.unknown)
        return make_schema_key(schema) if is_usual else (*make_schema_key(schema), allows_more)

    def _allows_more(self, unknown: str) -> bool:
        return unknown == INCLUDE or (unknown == EXCLUDE and self.direction == "in")

    def _inline_schema(self, schema: marshmallow.Schema, key: Any) -> dict[str, Any]:
        self._inline.add((self.direction, key))
        try:
            return self.schema2jsonschema(schema)
        finally:
            self._inline.remove((self.direction, key))

    def schema2jsonschema(self, schema: Any) -> dict[str, Any]:
        """Return the JSON Schema of one object."""
        json_schema: dict[str, Any] = super().schema2jsonschema(schema)  # type: ignore[no-untyped-call]
        json_schema["additionalProperties"] = self._allows_more(schema.unknown)
        if "description" not in json_schema and (description := _first_line(schema)):
            json_schema["description"] = description
        return json_schema

    def fields2jsonschema(self, fields: Any, *, partial: Any = None) -> dict[str, Any]:
        """Return the properties of this direction, and which of them are required."""
        included = {
            name: field
            for name, field in fields.items()
            if not (field.dump_only if self.direction == "in" else field.load_only)
        }
        json_schema: dict[str, Any] = super().fields2jsonschema(included, partial=partial)  # type: ignore[no-untyped-call]
        if self.direction == "out":
            json_schema["required"] = sorted(
                field.data_key or name
                for name, field in included.items()
                if not field.metadata.get("optional")
            )
        return json_schema

    def field2type_and_format(self, field: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the type and format, and the pattern of a field that has one."""
        if getattr(field, "as_string", False):  # a number of marshmallow that is sent as text
            return {"type": "string"}
        if isinstance(field, marshmallow.fields.Tuple):
            parts = [self.field2property(part) for part in field.tuple_fields]
            size = len(parts)
            return {"type": "array", "prefixItems": parts, "minItems": size, "maxItems": size}
        keywords: dict[str, Any] = super().field2type_and_format(field, **kwargs)
        pattern = getattr(field, "pattern", None)
        return keywords | {"pattern": pattern} if pattern else keywords

    def field2range(self, field: Any, ret: Any) -> dict[str, Any]:
        """Return the bounds of a number; integers always have bounds."""
        bounds: dict[str, Any] = super().field2range(field, ret)
        if isinstance(field, fields.Integer):
            bounds.setdefault("minimum", -fields.MAX_SAFE_INTEGER)
            bounds.setdefault("maximum", fields.MAX_SAFE_INTEGER)
        return bounds

    def field2pattern(self, field: Any, **kwargs: Any) -> dict[str, Any]:
        r"""Return the pattern in ECMA-262 syntax, as in JSON Schema: `$` instead of `\Z`."""
        keywords: dict[str, Any] = super().field2pattern(field, **kwargs)
        return {name: pattern.replace(r"\Z", "$") for name, pattern in keywords.items()}

    def field2default(self, field: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the default; omit `null`, which only means that the field is optional."""
        keywords: dict[str, Any] = super().field2default(field, **kwargs)
        return {} if keywords.get("default") is None else keywords

    def field2read_only(self, field: Any, **kwargs: Any) -> dict[str, Any]:
        """Return nothing: a field of one direction is omitted from the other JSON Schema."""
        del field, kwargs
        return {}

    field2write_only = field2read_only

    def schema2parameters(self, schema: Any, *, location: str, **kwargs: Any) -> list[Any]:
        """Return each field as a parameter; a parameter can be omitted but is never null."""
        del kwargs
        parameters = super().schema2parameters(schema, location=location)
        declared = resolve_schema_instance(schema).fields
        by_name = {field.data_key or name: field for name, field in declared.items()}
        for parameter in parameters:
            _drop_null(parameter["schema"])
            _describe_list(parameter, getattr(by_name[parameter["name"]], "delimiter", None))
        return list(parameters)

    def _unused_name(self, schema: marshmallow.Schema) -> str:
        taken = {*self.spec.components.schemas}.union(*(n.values() for n in self._names.values()))
        return unique_name(component_names(self._name(schema), type(schema).__module__), taken)

    def _name(self, schema: marshmallow.Schema) -> str:
        name = type(schema).__name__.removesuffix("Schema") or "Body"
        if self.direction == "out":
            return name
        stem = name.removesuffix("In")
        name = f"{stem}Patch" if schema.partial and not stem.endswith("Patch") else name
        return name if name.endswith(("In", "Patch")) else f"{name}In"


def _first_line(schema: marshmallow.Schema) -> str:
    return (type(schema).__doc__ or "").strip().partition("\n")[0]


def _drop_null(json_schema: dict[str, Any]) -> None:
    if isinstance(json_schema.get("type"), list):
        json_schema["type"] = next(kind for kind in json_schema["type"] if kind != "null")
    if "enum" in json_schema:
        json_schema["enum"] = [choice for choice in json_schema["enum"] if choice is not None]


def _describe_list(parameter: dict[str, Any], delimiter: str | None) -> None:
    """Say how the values of a list are separated; OpenAPI has no style for most delimiters."""
    if parameter["in"] == "header":  # always commas
        parameter.pop("style", None)
        parameter.pop("explode", None)
    elif delimiter in STYLES:
        parameter |= {"style": STYLES[delimiter], "explode": False}
    elif delimiter is not None:
        parameter["schema"] = {"type": "string"}


class SchemaResolver(ApispecResolver):
    """Resolves the schemas of responses as output and all other schemas as input."""

    def resolve_response(self, response: Any) -> None:
        """Add the schemas of a response to the components."""
        self.converter.direction = "out"
        try:
            super().resolve_response(response)  # type: ignore[no-untyped-call]  # apispec
        finally:
            self.converter.direction = "in"


class SchemaPlugin(apispec.ext.marshmallow.MarshmallowPlugin):
    """apispec's plugin for marshmallow, with a JSON Schema for each direction."""

    Converter = SchemaConverter
    Resolver = SchemaResolver

    def header_helper(self, header: Any, **kwargs: Any) -> Any:
        """Resolve the schema of a response header."""
        assert isinstance(self.converter, SchemaConverter)  # noqa: S101 - the spec exists here
        self.converter.direction = "out"
        try:
            return super().header_helper(header, **kwargs)
        finally:
            self.converter.direction = "in"
