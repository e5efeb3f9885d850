"""Credentials that a service must refuse, made from one that it accepts."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from itemsapi.verify.findings import TOKEN_PARAMETER
from itemsapi.verify.tokens import decoded
from itemsapi.verify.wire import Request

_SPELLINGS_OF_NONE: Final = ("none", "None", "NONE", "nOnE")


@dataclass(frozen=True, slots=True)
class BrokenCredential:
    """A name for the report, and where the credential stands in a request."""

    name: str
    authorization: str = ""
    query: str = ""

    def put_into(self, request: Request) -> Request:
        """Return the request with this credential."""
        if self.query:
            joint = "&" if "?" in request.target else "?"
            return replace(request, target=f"{request.target}{joint}{self.query}")
        return request.with_headers(Authorization=self.authorization)


def broken_credentials(token: str) -> Iterator[BrokenCredential]:
    """Yield every kind of broken credential (RFC 6750, RFC 7515, RFC 8725)."""
    yield BrokenCredential("empty token", "Bearer ")
    yield BrokenCredential("garbage", "Bearer nonsense")
    yield BrokenCredential("malformed", f"Bearer {token[: len(token) // 2]}")
    yield BrokenCredential("altered", f"Bearer {_altered(token)}")
    yield BrokenCredential("other scheme", f"Basic {token}")
    yield BrokenCredential("in the query", query=f"{TOKEN_PARAMETER}{token}")
    if decoded(token, 0):
        yield from _broken_jwts(token)


def _broken_jwts(token: str) -> Iterator[BrokenCredential]:
    head, claims, signature = token.split(".")
    yield BrokenCredential("wrong signature", f"Bearer {head}.{claims}.{_altered(signature)}")
    yield BrokenCredential("no signature", f"Bearer {head}.{claims}.")
    for spelling in _SPELLINGS_OF_NONE:
        unsigned = _encoded({**decoded(token, 0), "alg": spelling})
        yield BrokenCredential(f"alg {spelling}", f"Bearer {unsigned}.{claims}.")
    other_user = _encoded({**decoded(token, 1), "sub": "1", "admin": True})
    yield BrokenCredential("altered claims", f"Bearer {head}.{other_user}.{signature}")


def _altered(text: str) -> str:
    """Return the text with a character in its middle exchanged.

    The last one of Base64 may hold unused bits: changing it can leave the value the same.
    """
    middle = len(text) // 2
    other = "A" if text[middle : middle + 1] != "A" else "B"
    return f"{text[:middle]}{other}{text[middle + 1 :]}"


def _encoded(content: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()
