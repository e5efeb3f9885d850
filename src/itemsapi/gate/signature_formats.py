"""Formats of signatures: what the headers of a signed request say."""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from werkzeug.datastructures import Headers

_TIME = re.compile("[0-9]{1,12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SignatureParts:
    """What the headers of a request say.

    `signatures`: the claimed signatures, one of which must match. `signed_before`: the bytes that
    are signed before the body. `signed_at`: when, in seconds since 1970, if the format has it.
    """

    signatures: Sequence[bytes]
    signed_before: bytes = b""
    signed_at: int | None = None


class SignatureReader(Protocol):
    """A function that reads the signature of a request from its headers.

    The header that `HmacSignature` was given is there. It returns None for another format, and the
    request is refused. `body_signature` and `timestamped_signature` make such functions.
    """

    def __call__(self, headers: Headers, /) -> SignatureParts | None:
        """Return the parts of the signature; None if it has another format."""


def body_signature(header: str, *, prefix: str = "", encoding: str = "hex") -> SignatureReader:
    """Return the reader of a header with the signature of the body: `hex` or `base64`."""
    decode = {"hex": _decode_hex, "base64": decode_base64}[encoding]

    def read(headers: Headers) -> SignatureParts | None:
        """Return the signature; None if the header has another form."""
        text = headers[header]
        signature = decode(text.removeprefix(prefix)) if text.startswith(prefix) else None
        return None if signature is None else SignatureParts([signature])

    return read


def timestamped_signature(header: str) -> SignatureReader:
    """Return the reader of a header `t=<time>,v1=<hex>`; other versions are ignored."""

    def read(headers: Headers) -> SignatureParts | None:
        """Return the signature; None if the header has another form."""
        pairs = [part.partition("=") for part in headers[header].split(",")]
        times = [value for name, _, value in pairs if name == "t"]
        signatures = _all_of(_decode_hex(value) for name, _, value in pairs if name == "v1")
        if len(times) != 1 or not _TIME.fullmatch(times[0]) or not signatures:
            return None
        return SignatureParts(signatures, f"{times[0]}.".encode(), int(times[0]))

    return read


def standard_signature(headers: Headers) -> SignatureParts | None:
    """Read the three headers of Standard Webhooks; several signatures stand between spaces."""
    delivery, time = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    parts = [part.partition(",") for part in headers["webhook-signature"].split(" ")]
    signatures = _all_of(decode_base64(value) for version, _, value in parts if version == "v1")
    if not delivery or "." in delivery or not _TIME.fullmatch(time) or not signatures:
        return None
    return SignatureParts(signatures, f"{delivery}.{time}.".encode(), int(time))


def _all_of(signatures: Iterable[bytes | None]) -> list[bytes]:
    """Return the signatures; none if one of them has another format."""
    found = list(signatures)
    return [one for one in found if one] if all(found) else []


def _decode_hex(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text) if text.isascii() and text.isalnum() else None
    except ValueError:
        return None


def decode_base64(text: str) -> bytes | None:
    """Return the bytes of a text in base64; None for another one, and for none at all."""
    try:
        return base64.b64decode(text.encode("ascii"), validate=True) or None
    except (UnicodeError, binascii.Error):
        return None
