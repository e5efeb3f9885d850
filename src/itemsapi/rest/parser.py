"""The parser of `arguments`: webargs' parser, made strict for every part of a request.

It rejects unknown fields, repeated parameters, bodies of another media type, and JSON that two
parsers could interpret differently (`json_provider`).
"""

# ruff: noqa: ANN401 - the signatures are the libraries'

import weakref
from collections.abc import Mapping
from typing import Any, NoReturn, cast

import flask
from flask_smorest.utils import resolve_schema_instance
from marshmallow import EXCLUDE, RAISE, Schema, ValidationError
from webargs.flaskparser import FlaskParser
from webargs.multidictproxy import MultiDictProxy

from itemsapi.rest.error_handlers import add_errors, problem_of_status
from itemsapi.rest.request import (
    FORM,
    MULTIPART,
    Pairs,
    TextValue,
    current_view,
    form_pairs,
    json_body,
    multipart_body,
    query_pairs,
    read_body,
    read_cookies,
    reject_nul,
)

# Schemas of optional bodies: `arguments(..., required=False)`.
OPTIONAL: "weakref.WeakSet[Schema]" = weakref.WeakSet()

# The names of each schema, and those of them that may be given more than once.
_NAMES: "weakref.WeakKeyDictionary[Schema, tuple[frozenset[str], frozenset[str]]]"
_NAMES = weakref.WeakKeyDictionary()


class StrictParser(FlaskParser):
    """Parses each location strictly; raises problems and never calls `abort`."""

    DEFAULT_UNKNOWN_BY_LOCATION: dict[str, str | None] = {  # noqa: RUF012 - webargs declares it so
        "json": None,  # the schema decides; `rest.Schema` rejects unknown fields
        "form": None,
        "json_or_form": None,
        "query": None,
        "querystring": None,
        "files": RAISE,
        # Clients add headers and cookies of their own, so only these two allow unknown names.
        "headers": EXCLUDE,
        "cookies": EXCLUDE,
    }

    def __init__(self) -> None:
        """Create the parser with an empty cache of query parameter names."""
        super().__init__()
        self._names_by_view: weakref.WeakKeyDictionary[Any, frozenset[str] | None]
        self._names_by_view = weakref.WeakKeyDictionary()

    def load_json(self, req: flask.Request, schema: Schema) -> Any:
        """Return the JSON body, or raise `MediaTypeWrong`, `BodyTooLarge` or `BodyMalformed`."""
        if schema in OPTIONAL and not read_body(req):
            return {}
        return json_body(req)

    def load_querystring(self, req: flask.Request, schema: Schema) -> Any:
        """Return the query parameters of this schema, and those that no schema knows."""
        pairs = query_pairs(req)
        view, own_names = current_view(req), _names(schema)[0]
        if view not in self._names_by_view:
            self._names_by_view[view] = _query_names(view)
        names = self._names_by_view[view]
        if names is not None:
            pairs = {name: pairs[name] for name in pairs.keys() - (names - own_names)}
        elif "pagination" in getattr(view, "_apidoc", {}):  # its schema ignores unknown parameters
            _require_known(pairs, own_names)
        return _single_values(pairs, schema)

    def load_form(self, req: flask.Request, schema: Schema) -> Any:
        """Return the fields of a form, or the fields of a multipart body that are not files."""
        if schema in OPTIONAL and not read_body(req):
            return {}
        is_multipart = req.mimetype == MULTIPART
        pairs = multipart_body(req).form if is_multipart else form_pairs(req)
        return _single_values(pairs, schema)

    def load_json_or_form(self, req: flask.Request, schema: Schema) -> Any:
        """Return the fields of a form, or else the JSON body."""
        is_form = req.mimetype in {FORM, MULTIPART}
        return self.load_form(req, schema) if is_form else self.load_json(req, schema)

    def load_files(self, req: flask.Request, schema: Schema) -> Any:
        """Return the files of a multipart body, or raise `MediaTypeWrong`."""
        if schema in OPTIONAL and not read_body(req):
            return {}
        return _single_values(multipart_body(req).files, schema)

    def load_headers(self, req: flask.Request, schema: Schema) -> Any:
        """Return the headers that the schema names; commas separate a list (RFC 9110 5.6.1)."""
        headers: Pairs = {}
        names, multiple = _names(schema)
        for name in names:
            if values := [TextValue(value) for value in req.headers.getlist(name)]:
                joined = ",".join(values)
                headers[name] = (
                    [TextValue(value.strip()) for value in joined.split(",")]
                    if name in multiple
                    else values
                )
        return _single_values(headers, schema)

    def load_cookies(self, req: flask.Request, schema: Schema) -> Any:
        """Return the cookies."""
        cookies = {name: TextValue(value) for name, value in read_cookies(req).items()}
        reject_nul({name: [cookies[name]] for name in _names(schema)[0] & cookies.keys()})
        return cookies

    def handle_error(
        self,
        error: ValidationError,
        req: flask.Request,
        schema: Schema,
        *,
        error_status_code: int | None,
        error_headers: Mapping[str, str] | None,
    ) -> NoReturn:
        """Raise `ValidationFailed`, or a problem of another status, with the errors by field."""
        del req, schema
        problem = problem_of_status(error_status_code or self.DEFAULT_VALIDATION_STATUS, error)
        problem.extra_headers |= error_headers or {}
        (messages,) = cast("dict[str, Any]", error.messages).values()  # by location
        by_field = messages if isinstance(messages, Mapping) else {"_schema": messages}
        raise add_errors(problem, by_field) from None


def _names(schema: Schema) -> tuple[frozenset[str], frozenset[str]]:
    names = _NAMES.get(schema)
    if names is None:
        loaded = (field.data_key or name for name, field in schema.load_fields.items())
        names = frozenset(loaded), frozenset(MultiDictProxy({}, schema).multiple_keys)
        _NAMES[schema] = names
    return names


def _require_known(pairs: Pairs, names: frozenset[str]) -> None:
    if unknown := sorted(pairs.keys() - names):
        raise ValidationError({name: ["Unknown field."] for name in unknown})


def _query_names(view: object) -> frozenset[str] | None:
    """Return the parameter names of all query schemas of a view; None if there is only one.

    With several schemas, a parameter is unknown only if none of them knows it.
    """
    metadata = getattr(view, "_apidoc", {})
    parameters = [*metadata.get("arguments", {}).get("parameters", ())]
    if "pagination" in metadata:
        parameters.append(metadata["pagination"]["parameters"])
    schemas = [
        resolve_schema_instance(parameter["schema"])
        for parameter in parameters
        if isinstance(parameter, Mapping) and parameter["in"] in {"query", "querystring"}
    ]
    if len(schemas) < 2:  # noqa: PLR2004 - a single schema rejects unknown parameters itself
        return None
    return frozenset().union(*(_names(schema)[0] for schema in schemas))


def _single_values(pairs: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """Return one value for each name, or all values if the field is a list."""
    multiple = _names(schema)[1]
    repeated = [n for n, values in pairs.items() if len(values) > 1 and n not in multiple]
    if repeated:
        raise ValidationError({name: ["Given more than once."] for name in repeated})
    return {name: values if name in multiple else values[0] for name, values in pairs.items()}
