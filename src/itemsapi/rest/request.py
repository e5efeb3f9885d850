"""The request class: bodies are read once, strictly, and only as their declared media type."""

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
    """A Flask request whose `get_json` always uses the strict reader."""

    max_content_length = strict_json.MAX_BYTES

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
            return strict_json.read(self.body())
        except (MediaTypeWrong, BodyMalformed):
            if silent:
                return None
            raise

    def form_pairs(self) -> urlencoded.Pairs:
        """Return the names and values of a form body; repeated names are allowed here."""
        self._require_media_type(FORM)
        return urlencoded.read(self.body())

    def query_pairs(self) -> urlencoded.Pairs:
        """Return the names and values of the query string."""
        if len(self.query_string) > urlencoded.MAX_BYTES:
            raise BadRequest(f"The query string is longer than {urlencoded.MAX_BYTES} bytes.")
        return urlencoded.read(self.query_string)

    def body(self) -> bytes:
        """Return the raw body, or raise `BodyTooLarge`, with or without a declared length."""
        too_large = BodyTooLarge(f"The body may have at most {strict_json.MAX_BYTES} bytes.")
        try:
            body = self.get_data()
        except RequestEntityTooLarge:
            raise too_large from None
        except ClientDisconnected:
            raise BadRequest("The body ended too early.") from None
        # Werkzeug silently truncates a body without a declared length at the limit.
        if self.content_length is None and len(body) >= strict_json.MAX_BYTES:
            raise too_large
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
