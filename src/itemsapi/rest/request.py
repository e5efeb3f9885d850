"""The request as pages see it: bodies read once, strictly, and only as what they say they are."""

# ruff: noqa: ANN401, FBT001, FBT002 - the signature of get_json is Flask's

from typing import Any

import flask
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.sansio.http import parse_cookie
from werkzeug.utils import cached_property

from itemsapi.problems import BadRequest, BodyMalformed, BodyTooLarge, MediaTypeWrong
from itemsapi.rest import strict_json, urlencoded

FORM = "application/x-www-form-urlencoded"


class Request(flask.Request):
    """A Flask request whose `get_json` is the strict reader, whoever calls it."""

    max_content_length = strict_json.MAX_BYTES

    @cached_property
    def cookies(self) -> ImmutableMultiDict[str, str]:
        """The cookies; what is not UTF-8 in somebody else's is replaced: it is no error (S-116)."""
        header = self.environ.get("HTTP_COOKIE", "").encode("latin-1").decode(errors="replace")
        return ImmutableMultiDict(parse_cookie(header))

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:  # noqa: ARG002
        """Return the JSON body.

        Raises `MediaTypeWrong`, `BodyTooLarge` or `BodyMalformed`; with `silent` returns None
        instead. `force` does not make another media type acceptable.
        """
        try:
            self._demand("application/json")
            return strict_json.read(self.body())
        except (MediaTypeWrong, BodyMalformed):
            if silent:
                return None
            raise

    def form_pairs(self) -> urlencoded.Pairs:
        """Return the names and values of a form body; the caller decides about repeated names."""
        self._demand(FORM)
        return urlencoded.read(self.body())

    def query_pairs(self) -> urlencoded.Pairs:
        """Return the names and values of the query string."""
        if len(self.query_string) > urlencoded.MAX_BYTES:
            raise BadRequest(f"The query string is longer than {urlencoded.MAX_BYTES} bytes.")
        return urlencoded.read(self.query_string)

    def body(self) -> bytes:
        """Return the body as it came, or raise `BodyTooLarge`, however its length was declared."""
        too_large = BodyTooLarge(f"At most {strict_json.MAX_BYTES} bytes are taken.")
        try:
            body = self.get_data()
        except RequestEntityTooLarge:
            raise too_large from None
        except ClientDisconnected:
            raise BadRequest("The body ended too early.") from None
        # Of a body without a declared length Werkzeug cuts off what is beyond the limit, silently.
        if self.content_length is None and len(body) >= strict_json.MAX_BYTES:
            raise too_large
        return body

    def has_body(self) -> bool:
        """Tell whether a body came along, without reading it."""
        return bool(self.content_length) or "chunked" in self.headers.get("Transfer-Encoding", "")

    def _demand(self, media_type: str) -> None:
        """Raise `MediaTypeWrong` unless the body is `media_type`, in UTF-8 and uncompressed."""
        parameters = {name: value.lower() for name, value in self.mimetype_params.items()}
        compressed = self.headers.get("Content-Encoding", "identity") != "identity"
        if (
            self.mimetype != media_type
            or compressed
            or parameters not in ({}, {"charset": "utf-8"})
        ):
            raise MediaTypeWrong(f"Send the body as {media_type} in UTF-8, uncompressed.")
