"""How `arguments` reads a request: webargs' parser, strict about every part of it.

Unknown fields are rejected, and so are repeated parameters, bodies of another media type, and JSON
that two readers could understand differently (`strict_json`).
"""

# ruff: noqa: ANN401 - the signatures are the libraries'

import weakref
from collections.abc import Mapping
from typing import Any, Final, NoReturn, cast

import flask
from flask_smorest.utils import resolve_schema_instance
from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields
from webargs.flaskparser import FlaskParser

from itemsapi.problems import MediaTypeWrong
from itemsapi.rest.error_handlers import invalid
from itemsapi.rest.request import Request
from itemsapi.rest.urlencoded import Pairs, Word

MULTIPART: Final = "multipart/form-data"

# Schemas of bodies that may be missing: `arguments(..., required=False)`.
OPTIONAL: "weakref.WeakSet[Schema]" = weakref.WeakSet()


class StrictParser(FlaskParser):
    """Reads each location strictly. Raises problems, never an `abort`."""

    DEFAULT_UNKNOWN_BY_LOCATION: dict[str, str | None] = {  # noqa: RUF012 - webargs declares it so
        "json": None,  # the schema decides; ours reject
        "form": None,
        "json_or_form": None,
        "query": None,
        "querystring": None,
        "files": RAISE,
        # Clients send headers and cookies of many kinds along: only these two may have more.
        "headers": EXCLUDE,
        "cookies": EXCLUDE,
    }

    def __init__(self) -> None:
        """Begin with no operation known."""
        super().__init__()
        self._known: weakref.WeakKeyDictionary[Any, frozenset[str] | None]
        self._known = weakref.WeakKeyDictionary()

    def load_json(self, req: flask.Request, schema: Schema) -> Any:
        """Return the JSON body. Raises `MediaTypeWrong`, `BodyTooLarge` or `BodyMalformed`."""
        request = cast("Request", req)
        if schema in OPTIONAL and not request.has_body():
            return {}
        return request.get_json()

    def load_querystring(self, req: flask.Request, schema: Schema) -> Any:
        """Return the parameters of the query that are this schema's, or nobody's."""
        found = cast("Request", req).query_pairs()
        others = self._others(req, schema)
        if others is not None:
            found = {name: values for name, values in found.items() if name not in others}
        return _once(found, schema)

    def load_form(self, req: flask.Request, schema: Schema) -> Any:
        """Return the fields of a form; in a multipart body those beside the files."""
        if req.mimetype == MULTIPART:
            return _once({name: req.form.getlist(name) for name in req.form}, schema)
        request = cast("Request", req)
        if schema in OPTIONAL and not request.has_body():
            return {}
        return _once(request.form_pairs(), schema)

    def load_files(self, req: flask.Request, schema: Schema) -> Any:
        """Return the files of a multipart body. Raises `MediaTypeWrong`."""
        if req.mimetype != MULTIPART:
            raise MediaTypeWrong(f"Send the body as {MULTIPART}.")
        return _once({name: req.files.getlist(name) for name in req.files}, schema)

    def load_headers(self, req: flask.Request, schema: Schema) -> Any:
        """Return the headers that the schema names."""
        found: Pairs = {}
        for name, field in schema.load_fields.items():
            key = field.data_key or name
            if values := req.headers.getlist(key):
                found[key] = [Word(value) for value in values]
        return _once(found, schema)

    def load_cookies(self, req: flask.Request, schema: Schema) -> Any:
        """Return the cookies."""
        del schema
        return {name: Word(value) for name, value in req.cookies.items()}

    def handle_error(
        self, error: ValidationError, req: flask.Request, schema: Schema, **_: object
    ) -> NoReturn:
        """Raise `Invalid` with the errors by field."""
        del req, schema
        messages = error.messages
        if isinstance(messages, Mapping) and len(messages) == 1:  # webargs wraps them by location
            messages = next(iter(messages.values()))
        raise invalid(
            messages if isinstance(messages, Mapping) else {"_schema": messages}
        ) from None

    def _others(self, req: flask.Request, schema: Schema) -> frozenset[str] | None:
        """Return the names that other query schemas of this operation know, `paginate` included.

        Only together do they know which parameter is unknown.
        """
        view = flask.current_app.view_functions[req.endpoint or ""]
        view = getattr(getattr(view, "view_class", None), req.method.lower(), view)
        if view not in self._known:
            self._known[view] = _query_names(view)
        names = self._known[view]
        own = frozenset(field.data_key or name for name, field in schema.load_fields.items())
        return None if names is None else names - own


def _query_names(view: object) -> frozenset[str] | None:
    """Return the parameters of all query schemas of a view; None where there is only one."""
    declared = getattr(view, "_apidoc", {})
    parameters = [*declared.get("arguments", {}).get("parameters", ())]
    if "pagination" in declared:
        parameters.append(declared["pagination"]["parameters"])
    schemas = [
        resolve_schema_instance(parameter["schema"])
        for parameter in parameters
        if isinstance(parameter, Mapping) and parameter["in"] in {"query", "querystring"}
    ]
    if len(schemas) < 2:  # noqa: PLR2004 - one schema knows its own parameters
        return None
    return frozenset(
        field.data_key or name for schema in schemas for name, field in schema.load_fields.items()
    )


def _once(found: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """Return one value for each name, or all of them where the schema wants a list."""
    lists = {
        field.data_key or name
        for name, field in schema.load_fields.items()
        if isinstance(field, fields.List)
    }
    repeated = [name for name, values in found.items() if len(values) > 1 and name not in lists]
    if repeated:
        raise invalid(dict.fromkeys(repeated, "Given more than once."))
    return {name: values if name in lists else values[0] for name, values in found.items()}
