"""The request class: bodies and query strings are read once and strictly.

A body is read only as its declared media type.
"""

# ruff: noqa: ANN401, FBT001, FBT002 - the signature of get_json is Flask's

import io
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import flask
from werkzeug.datastructures import FileStorage, Headers, ImmutableMultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import MultiPartParser
from werkzeug.sansio.http import parse_cookie
from werkzeug.utils import cached_property

from itemsapi.gate.raw_body import read_raw_body
from itemsapi.problems import BadRequest, BodyMalformed, MediaTypeWrong
from itemsapi.rest import json_provider

# The strict readers of URL-encoded pairs such as `a=1&b=2` (query strings and form bodies), and of
# multipart bodies.
#
# They reject bytes that are not UTF-8, NUL, and more than 100 pairs. Repeated names are returned;
# the parser of `arguments` rejects them unless the field is a list.

MAX_PAIRS = 100
MAX_BYTES = 8 * 1024  # of a query string
TOO_MANY_PAIRS = f"There are more than {MAX_PAIRS} parameters."


class TextValue(str):
    """A string from a query or form, which `fields` may convert, for example `5` to a number.

    A string "5" in JSON is a plain `str` and is never converted to a number.
    """

    __slots__ = ()

    def split(self, *args: Any, **kwargs: Any) -> list[str]:
        """Return the parts, which `fields` may convert too, for example those of `1,2`."""
        return [TextValue(part) for part in super().split(*args, **kwargs)]


Pairs = dict[str, list[TextValue]]


def read(raw: bytes) -> Pairs:
    """Return the values of each name in their order, or raise `BadRequest`."""
    try:
        parsed = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_PAIRS,
        )
    except UnicodeError:
        raise BadRequest("Parameters must be percent-encoded UTF-8.") from None
    except ValueError:
        raise BadRequest(TOO_MANY_PAIRS) from None
    pairs: Pairs = {}
    for name, value in parsed:
        pairs.setdefault(name, []).append(TextValue(value))
    reject_nul(pairs)
    return pairs


class Multipart(NamedTuple):
    """The fields and files of a multipart body, each by name and in their order."""

    form: Pairs
    files: dict[str, list[FileStorage]]


class _Latin1Parser(MultiPartParser):
    """Werkzeug's parser, which returns the bytes of each value as characters and replaces none."""

    def get_part_charset(self, headers: Headers) -> str:
        """Return the encoding that keeps each byte."""
        if super().get_part_charset(headers) == "iso-8859-1":
            self.fail("not UTF-8")
        return "latin-1"


def read_multipart(raw: bytes, boundary: str) -> Multipart:
    """Return the fields and files of a whole multipart body, or raise `BadRequest`."""
    parser = _Latin1Parser(lambda *_, **__: io.BytesIO(), max_form_parts=MAX_PAIRS)
    try:
        form, files = parser.parse(io.BytesIO(raw), boundary.encode("ascii"), len(raw))
        if not boundary or None in form or None in files:
            parser.fail("without boundary or name")
        pairs = {
            name: [TextValue(value.encode("latin-1").decode()) for value in values]
            for name, values in form.lists()
        }
    except RequestEntityTooLarge:
        raise BadRequest(TOO_MANY_PAIRS) from None
    except ValueError:
        raise BadRequest("The body is not complete multipart/form-data in UTF-8.") from None
    reject_nul(pairs)
    reject_nul({name: [file.filename or "" for file in parts] for name, parts in files.lists()})
    return Multipart(pairs, dict(files.lists()))


def reject_nul(pairs: Mapping[str, Iterable[str]]) -> None:
    """Raise `BadRequest` if a name or value contains NUL, which PostgreSQL cannot store."""
    if any("\0" in text for text in (*pairs, *(v for vs in pairs.values() for v in vs))):
        raise BadRequest("A parameter contains the character NUL.")


JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
PARSED = "itemsapi_multipart"
MAX_BODY = "itemsapi_max_body"  # in the metadata of a view: the limit of its body in bytes


def query_pairs(request: flask.Request) -> Pairs:
    """Return the names and values of the query string. Raise `BadRequest`."""
    if len(request.query_string) > MAX_BYTES:
        raise BadRequest(f"The query string is longer than {MAX_BYTES} bytes.")
    return read(request.query_string)


def form_pairs(request: flask.Request) -> Pairs:
    """Return the names and values of a form body; repeated names are allowed here.

    Raise `MediaTypeWrong`, `BodyTooLarge` or `BadRequest`.
    """
    _require_media_type(request, FORM)
    return read(read_body(request))


def json_body(request: flask.Request) -> Any:
    """Return the JSON body. Raise `MediaTypeWrong`, `BodyTooLarge` or `BodyMalformed`."""
    _require_media_type(request, JSON)
    return json_provider.read(read_body(request))


def read_body(request: flask.Request) -> bytes:
    """Return the raw body. Raise `BodyTooLarge`, or `BadRequest` if it ends too early.

    The limit is that of the view (`arguments(max_body=...)`) or else that of `json_provider`; or
    that of the application if it is lower.
    """
    limit = _view_metadata(request).get(MAX_BODY, json_provider.MAX_BYTES)
    if not isinstance(request, Request) or "max_content_length" in vars(request):
        limit = min(request.max_content_length or limit, limit)
    return read_raw_body(request, limit)


def current_view(request: flask.Request) -> Any:
    """Return the view, or the method of a `MethodView`; without a `head`, HEAD is sent to `get`."""
    view = flask.current_app.view_functions[request.endpoint or ""]
    kind = getattr(view, "view_class", None)
    return getattr(kind, request.method.lower(), None) or getattr(kind, "get", view)


def _view_metadata(request: flask.Request) -> Mapping[str, Any]:
    """Return what the decorators of `Blueprint` stored on the view of this request."""
    if request.endpoint is None:
        return {}
    metadata: Mapping[str, Any] = getattr(current_view(request), "_apidoc", {})
    return metadata


def multipart_body(request: flask.Request) -> Multipart:
    """Return the fields and files of a multipart body; it is parsed once.

    Raise `MediaTypeWrong`, `BodyTooLarge` or `BadRequest`.
    """
    parsed: Multipart | None = getattr(request, PARSED, None)
    if parsed is None:
        _require_media_type(request, MULTIPART)
        boundary = request.mimetype_params.get("boundary", "")
        parsed = read_multipart(read_body(request), boundary)
        setattr(request, PARSED, parsed)
    return parsed


def read_cookies(request: flask.Request) -> ImmutableMultiDict[str, str]:
    """Return the cookies; bytes that are not UTF-8 are replaced and cause no error (S-116)."""
    header = request.environ.get("HTTP_COOKIE", "").encode("latin-1").decode(errors="replace")
    return ImmutableMultiDict(parse_cookie(header))


def _require_media_type(request: flask.Request, media_type: str) -> None:
    """Raise `MediaTypeWrong` unless the body is `media_type`, in UTF-8 and uncompressed."""
    parameters = {name: value.lower() for name, value in request.mimetype_params.items()}
    if media_type == MULTIPART:
        parameters.pop("boundary", None)
    compressed = request.headers.get("Content-Encoding", "identity") != "identity"
    if request.mimetype != media_type or compressed or parameters not in ({}, {"charset": "utf-8"}):
        raise MediaTypeWrong(f"Send the body as {media_type} in UTF-8, uncompressed.")


class Request(flask.Request):
    """A Flask request whose `get_json` and `cookies` use the strict readers, for `create_app`."""

    max_content_length = json_provider.MAX_BYTES

    @cached_property
    def cookies(self) -> ImmutableMultiDict[str, str]:
        """The cookies; bytes that are not UTF-8 are replaced."""
        return read_cookies(self)

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:  # noqa: ARG002
        """Return the JSON body as `json_body` does.

        With `silent`, return None instead of raising `MediaTypeWrong` or `BodyMalformed`. `force`
        does not allow another media type.
        """
        try:
            return json_body(self)
        except (MediaTypeWrong, BodyMalformed):
            if silent:
                return None
            raise
