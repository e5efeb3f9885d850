"""Our `Blueprint`: a page of endpoints, with a typed surface over Flask-Smorest.

    page = Blueprint("orders", __name__, url_prefix="/orders")

    @page.get("/<id:order_id>")
    @requires(ORDERS_READ)
    @page.gives(200, Order())
    def show_order(order_id: str) -> object:
        "Show one order."
        return find_order(order_id)

What `takes`, `gives` and `refuses` note on the view in `_apidoc`, Flask-Smorest's own place for it,
is read when the document is built, at boot: so neither their order nor that of `@requires` matters.
Flask-Smorest and marshmallow are untyped here and there; the `Any`s they force stay in this file.
"""

import copy
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

import flask
import flask_smorest
from marshmallow import Schema

from itemsapi.problems import PreconditionFailed, PreconditionRequired, Problem
from itemsapi.rest.etags import not_modified, precondition
from itemsapi.rest.json_provider import dumps
from itemsapi.rest.parser import Location, read
from itemsapi.rest.request import Request
from itemsapi.tokens.scopes import Scope

View = TypeVar("View", bound=Callable[..., object])
Decorator = Callable[[View], View]
HeaderDocs = Mapping[str, str] | Iterable[str]

NOTE = "_apidoc"


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]  # Flask-Smorest has no types
    """A page of endpoints.

    `scopes` are those that only this page uses and that no rule of its names; `description` is what
    the document says about the page, by default the first line of the module's docstring.
    """

    def __init__(
        self,
        name: str,
        import_name: str,
        *,
        url_prefix: str | None = None,
        scopes: Iterable[Scope] = (),
        description: str = "",
        **options: Any,
    ) -> None:
        """Make a page that answers under `url_prefix`."""
        super().__init__(
            name, import_name, url_prefix=url_prefix, description=description, **options
        )
        self.scopes = tuple(scopes)
        self.otherwise: dict[type[Problem], tuple[int, Schema]] = {}

    def get(self, path: str, **options: Any) -> Callable[[View], View]:
        """Answer GET (and HEAD) on `path`."""
        return self._on("GET", path, options)

    def post(self, path: str, **options: Any) -> Callable[[View], View]:
        """Answer POST on `path`."""
        return self._on("POST", path, options)

    def put(self, path: str, **options: Any) -> Callable[[View], View]:
        """Answer PUT on `path`."""
        return self._on("PUT", path, options)

    def patch(self, path: str, **options: Any) -> Callable[[View], View]:
        """Answer PATCH on `path`."""
        return self._on("PATCH", path, options)

    def delete(self, path: str, **options: Any) -> Callable[[View], View]:
        """Answer DELETE on `path`."""
        return self._on("DELETE", path, options)

    def errorhandler(self, kind: type[Exception] | int) -> Callable[[View], View]:
        """Answer what this page raises in a way of its own; say so with `answers_otherwise`."""
        return cast("Callable[[View], View]", super().errorhandler(kind))

    def takes(
        self,
        schema: Schema,
        *,
        location: Location = "json",
        required: bool = True,
        example: object = None,
    ) -> Callable[[View], View]:
        """Read values by `schema` and hand them to the view as a positional argument.

        Several are handed over from the top down. `required=False` reads a body that is not there
        as `{}`. Unknown fields and repeated parameters are refused.
        """
        _demand_instance(schema)
        note = {"in": location, "schema": schema, "required": required, "example": example}

        def decorate(view: View) -> View:
            def reading(*args: Any, **kwargs: Any) -> object:
                request = cast("Request", flask.request)
                value = read(request, schema, location, required=required)
                return view(*args, value, **kwargs)

            return _wrap(view, reading, "takes", note)

        return decorate

    def gives(
        self,
        status: int,
        schema: Schema | None = None,
        *,
        headers: HeaderDocs = (),
        example: object = None,
        content_type: str = "application/json",
    ) -> Callable[[View], View]:
        """Answer with `status` and what `schema` makes of what the view returns.

        The view returns a value, `(value, headers)` or a whole response, which passes untouched.
        With an `ETag` among the headers, a GET whose `If-None-Match` names it is answered 304, and
        one whose `If-Match` does not 412.
        `headers` and `example` are for the document; header names alone will do for common ones.
        """
        if schema is not None:
            _demand_instance(schema)
        note = {
            "status": status,
            "schema": schema,
            "headers": headers,
            "example": example,
            "content_type": content_type,
        }

        def decorate(view: View) -> View:
            def answering(*args: Any, **kwargs: Any) -> object:
                given = view(*args, **kwargs)
                if isinstance(given, flask.Response):
                    return given
                value, sent = given if isinstance(given, tuple) else (given, {})
                return _response(status, schema, value, sent)

            return _wrap(view, answering, "gives", note)

        return decorate

    def refuses(self, *kinds: type[Problem]) -> Callable[[View], View]:
        """Document problems that this view raises beside those that follow from its declaration."""

        def decorate(view: View) -> View:
            for kind in kinds:
                _note(view, "refuses", kind)
            return view

        return decorate

    def answers_otherwise(self, schema: Schema, statuses: Mapping[type[Problem], int]) -> None:
        """Document that this page's own error handler answers these problems by `schema`."""
        _demand_instance(schema)
        self.otherwise |= {kind: (status, schema) for kind, status in statuses.items()}

    def takes_version(self, view: View) -> View:
        """Read `If-Match` and hand what it demands over as a positional argument.

        It stands beneath `takes`, so that a request that is no good in itself is told so (400,
        422) whatever its conditions say (RFC 9110 13.2.1), a missing `If-Match` too (428).
        """
        if notes(view).get("takes"):
            raise TypeError(f"{view.__name__}: write takes_version beneath takes, not above it")

        def reading(*args: Any, **kwargs: Any) -> object:
            return view(*args, precondition(flask.request), **kwargs)

        wrapped = _wrap(view, reading, "if_match", True)  # noqa: FBT003 - a note, not a switch
        return self.refuses(PreconditionRequired, PreconditionFailed)(wrapped)

    def add_url_rule(self, rule: str, *args: Any, **options: Any) -> None:
        """Register an address without a slash at its end; with one it answers all the same.

        Registered with the slash, Werkzeug would say 404 instead of 405 to it without.
        """
        bare = rule.rstrip("/") or ("" if self.url_prefix else "/")
        super().add_url_rule(bare, *args, **options)

    def _on(self, method: str, path: str, options: dict[str, Any]) -> Callable[[View], View]:
        register = self.route(path, methods=[method], **options)
        return cast("Callable[[View], View]", register)


def notes(view: object) -> Mapping[str, list[Any]]:
    """Return what `takes`, `gives`, `refuses` and `takes_version` noted on a view, top down."""
    return getattr(view, NOTE, {})


def _wrap(view: View, wrapper: Callable[..., object], kind: str, note: object) -> View:
    if inspect.iscoroutinefunction(view):
        raise TypeError(f"{view.__name__} is async; views here are plain functions")
    wrapped = cast("View", functools.wraps(view)(wrapper))
    _note(wrapped, kind, note)
    return wrapped


def _note(view: object, kind: str, note: object) -> None:
    """Add a note; the notes of the function beneath stay as they are."""
    found = {name: copy.copy(listed) for name, listed in notes(view).items()}
    found.setdefault(kind, []).insert(0, note)
    setattr(view, NOTE, found)


def _demand_instance(schema: object) -> None:
    if not isinstance(schema, Schema):
        raise TypeError(f"give an instance, not {schema!r}: {getattr(schema, '__name__', 'X')}()")


def _response(
    status: int, schema: Schema | None, value: object, headers: Mapping[str, str]
) -> flask.Response:
    tag = headers.get("ETag")
    if tag and flask.request.method in {"GET", "HEAD"} and not_modified(flask.request, tag):
        return flask.Response(status=304, headers=headers)
    if value is None and schema is None:
        return flask.Response(status=status, headers=headers)
    body = dumps(value if schema is None else schema.dump(value))
    return flask.Response(body, status, headers, mimetype="application/json")
