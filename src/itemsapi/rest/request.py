"""The request class: bodies and query strings are read once and strictly.

A body is read only as its declared media type.
"""

# ruff: noqa: ANN401, FBT001, FBT002 - the signature of get_json is Flask's

from typing import Any
from urllib.parse import parse_qsl

import flask
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.sansio.http import parse_cookie
from werkzeug.utils import cached_property

from itemsapi.problems import BadRequest, BodyMalformed, BodyTooLarge, MediaTypeWrong
from itemsapi.rest import json_provider

# The strict reader of URL-encoded pairs such as `a=1&b=2`: query strings and form bodies.
#
# It rejects bytes that are not UTF-8, NUL, and more than 100 pairs. Repeated names are returned;
# the parser of `arguments` rejects them unless the field is a list.

MAX_PAIRS = 100
MAX_BYTES = 8 * 1024  # of a query string


class TextValue(str):
    """A string from a query or form, which `fields` may convert, for example `5` to a number.

    A string "5" in JSON is a plain `str` and is never converted to a number.
    """

    __slots__ = ()


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
        raise BadRequest(f"There are more than {MAX_PAIRS} parameters.") from None
    pairs: Pairs = {}
    for name, value in parsed:
        pairs.setdefault(name, []).append(TextValue(value))
    if any("\0" in text for text in (*pairs, *(v for vs in pairs.values() for v in vs))):
        raise BadRequest("A parameter contains the character NUL.")
    return pairs


FORM = "application/x-www-form-urlencoded"
BODY_LIMIT = f"The body may have at most {json_provider.MAX_BYTES} bytes."


class Request(flask.Request):
    """A Flask request whose `get_json` always uses the strict reader."""

    max_content_length = json_provider.MAX_BYTES

    @cached_property
    def cookies(self) -> ImmutableMultiDict[str, str]:
        """The cookies; bytes that are not UTF-8 are replaced and cause no error (S-116)."""
        header = self.environ.get("HTTP_COOKIE", "").encode("latin-1").decode(errors="replace")
        return ImmutableMultiDict(parse_cookie(header))

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:  # noqa: ARG002
        """Return the JSON body.

        Raise `MediaTypeWrong`, `BodyTooLarge` or `BodyMalformed`. With `silent`, return None
        instead of raising the first or the last. `force` does not allow another media type.
        """
        try:
            self._require_media_type("application/json")
            return json_provider.read(self.body())
        except (MediaTypeWrong, BodyMalformed):
            if silent:
                return None
            raise

    def form_pairs(self) -> Pairs:
        """Return the names and values of a form body; repeated names are allowed here."""
        self._require_media_type(FORM)
        return read(self.body())

    def query_pairs(self) -> Pairs:
        """Return the names and values of the query string."""
        if len(self.query_string) > MAX_BYTES:
            raise BadRequest(f"The query string is longer than {MAX_BYTES} bytes.")
        return read(self.query_string)

    def body(self) -> bytes:
        """Return the raw body, or raise `BodyTooLarge`, with or without a declared length."""
        try:
            body = self.get_data()
        except RequestEntityTooLarge:
            raise BodyTooLarge(BODY_LIMIT) from None
        except ClientDisconnected:
            raise BadRequest("The body ended too early.") from None
        # Werkzeug silently truncates a body without a declared length at the limit.
        if self.content_length is None and len(body) >= json_provider.MAX_BYTES:
            raise BodyTooLarge(BODY_LIMIT)
        return body

    def has_body(self) -> bool:
        """Return whether the request has a body, without reading it."""
        return bool(self.content_length) or "chunked" in self.headers.get("Transfer-Encoding", "")

    def _require_media_type(self, media_type: str) -> None:
        """Raise `MediaTypeWrong` unless the body is `media_type`, in UTF-8 and uncompressed."""
        parameters = {name: value.lower() for name, value in self.mimetype_params.items()}
        compressed = self.headers.get("Content-Encoding", "identity") != "identity"
        if (
            self.mimetype != media_type
            or compressed
            or parameters not in ({}, {"charset": "utf-8"})
        ):
            raise MediaTypeWrong(f"Send the body as {media_type} in UTF-8, uncompressed.")
