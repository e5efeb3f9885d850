"""Signed webhooks as a credential: the sender signs the body with a secret that both know.

    BUILDS_WRITE = Scope("builds:write", "Report builds")
    github = HmacSignature.github("github", secrets=[SECRET], scopes=[BUILDS_WRITE])
    auth = AuthLayer(app, credentials=[github])

    @app.post("/hooks/github")
    @requires(BUILDS_WRITE, by={"github"})
    def receive(): ...          # current_caller().user_id == "webhook:github"

The three presets are GitHub's header, Stripe's, and Standard Webhooks; `HmacSignature` itself takes
a `SignatureReader` for any other format. With several secrets each is accepted: add the new one,
let the sender change, remove the old one.

The gate reads the body to check its signature. These are the only routes on which an anonymous
request makes the gate read one (S-004): at most `max_body` bytes, and only if the headers have the
format of a signature of this moment. The view reads the same body again, as JSON, form or bytes.

A signed time makes a copied request useless after five minutes. Before that, or where the format
has no time (GitHub), a copy is accepted: a view whose work must happen once remembers the id that
the sender gives each delivery.
"""

import base64
import binascii
import copy
import hashlib
import hmac
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from flask import Request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from itemsapi import clock as clocks
from itemsapi.clock import Clock, unix_seconds
from itemsapi.gate.caller import Caller
from itemsapi.gate.credentials import require_credential_name
from itemsapi.problems import BadRequest, BodyTooLarge, SignatureInvalid
from itemsapi.tokens.scopes import Scope, scope_names

MAX_BODY = 65536  # bytes
TOLERANCE_SECONDS = 300  # as Stripe and Standard Webhooks have it
MIN_SECRET_BYTES = 16
MAX_SIGNATURES = 8  # in one request: senders repeat it for each secret while they change it
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


class HmacSignature:
    """A credential: the HMAC-SHA256 of the body, and of what the format adds before it.

    `name` is that of the sender, as in `by=`; the caller is `webhook:<name>`. `header` is the one
    that tells whether a request is signed. Each of `secrets` is accepted, of 16 bytes or more: add
    the new one, let the sender change, remove the old one. `read` reads the signature from the
    headers. `scopes` are those of the caller. `max_body`: how many bytes of a body are read, 65,536
    unless it is given. `clock` is for signatures with a time, which are valid for five minutes;
    without it, that of the layer. The presets `github`, `stripe` and `standard_webhooks` take the
    same options.
    """

    scheme = "Signature"  # not registered with IANA: no registered one is for such signatures

    def __init__(  # noqa: PLR0913 - the format of a signature, and who sends it
        self,
        name: str,
        *,
        header: str,
        secrets: Iterable[str | bytes],
        read: SignatureReader,
        scopes: Iterable[Scope | str] = (),
        max_body: int = MAX_BODY,
        clock: Clock | None = None,
    ) -> None:
        """Raise `ValueError` for a name, secret or scope that cannot be.

        Raise `TypeError` for a value of a wrong type: a text in place of a collection, or a secret
        that is missing.
        """
        require_credential_name(name)
        self.name, self._header, self._read = name, header, read
        self._secrets = tuple(map(_as_bytes, _each_secret(name, secrets)))
        self._scopes = scope_names(scopes)
        self._max_body, self._clock = max_body, clock
        if not self._secrets or min(map(len, self._secrets)) < MIN_SECRET_BYTES:
            msg = f"the credential {name} needs secrets of {MIN_SECRET_BYTES} bytes or more"
            raise ValueError(msg)
        self.documentation: Mapping[str, Any] = {
            "type": "apiKey",
            "in": "header",
            "name": header,
            "description": "The HMAC-SHA256 of the body, made by the sender of the webhook.",
        }

    @classmethod
    def github(cls, name: str, *, secrets: Iterable[str | bytes], **options: Any) -> Self:
        """Read `X-Hub-Signature-256: sha256=<hex>`. It has no time, so a copy is accepted again."""
        header = "X-Hub-Signature-256"
        read = body_signature(header, prefix="sha256=")
        return cls(name, header=header, secrets=secrets, read=read, **options)

    @classmethod
    def stripe(cls, name: str, *, secrets: Iterable[str | bytes], **options: Any) -> Self:
        """Read `Stripe-Signature: t=<time>,v1=<hex>`, made of `<time>.<body>`."""
        header = "Stripe-Signature"
        read = timestamped_signature(header)
        return cls(name, header=header, secrets=secrets, read=read, **options)

    @classmethod
    def standard_webhooks(
        cls, name: str, *, secrets: Iterable[str | bytes], **options: Any
    ) -> Self:
        """Read `webhook-id`, `webhook-timestamp` and `webhook-signature` (standardwebhooks.com).

        A secret is written `whsec_` and base64.
        """
        texts = [_as_bytes(secret).decode() for secret in _each_secret(name, secrets)]
        keys = [_decode_base64(text.removeprefix("whsec_")) or b"" for text in texts]
        header = "webhook-signature"
        return cls(name, header=header, secrets=keys, read=standard_signature, **options)

    def with_clock(self, clock: Clock) -> Self:
        """Return this credential with the clock of the layer, unless it was given one."""
        if self._clock is not None:
            return self
        bound = copy.copy(self)
        bound._clock = clock  # noqa: SLF001 - its own
        return bound

    def is_present(self, request: Request) -> bool:
        """Return whether a request has the header of the signature."""
        return self._header in request.headers

    def authenticate(self, request: Request) -> Caller | None:
        """Return the sender of a request; None if it is not signed.

        Raise `SignatureInvalid`, `BodyTooLarge`, or `BadRequest` if the body ends too early.
        """
        if not self.is_present(request):
            return None
        parts = self._read(request.headers)
        if parts is None or not self._is_current(parts):
            raise SignatureInvalid
        body = read_raw_body(request, self._max_body)
        if not self._matches(parts, body):
            raise SignatureInvalid
        return Caller(f"webhook:{self.name}", self._scopes, credential=self.name)

    def _is_current(self, parts: SignatureParts) -> bool:
        if parts.signed_at is None:
            return True
        now = unix_seconds((self._clock or clocks.now)())
        return abs(now - parts.signed_at) <= TOLERANCE_SECONDS

    def _matches(self, parts: SignatureParts, body: bytes) -> bool:
        expected = [_hmac(secret, parts.signed_before, body) for secret in self._secrets]
        claimed = parts.signatures[:MAX_SIGNATURES]
        matches = [hmac.compare_digest(one, other) for one in expected for other in claimed]
        return any(matches)  # after all comparisons: the time does not tell which secret matched


# Formats of signatures.


def body_signature(header: str, *, prefix: str = "", encoding: str = "hex") -> SignatureReader:
    """Return the reader of a header with the signature of the body: `hex` or `base64`."""
    decode = {"hex": _decode_hex, "base64": _decode_base64}[encoding]

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
    signatures = _all_of(_decode_base64(value) for version, _, value in parts if version == "v1")
    if not delivery or "." in delivery or not _TIME.fullmatch(time) or not signatures:
        return None
    return SignatureParts(signatures, f"{delivery}.{time}.".encode(), int(time))


def read_raw_body(request: Request, limit: int) -> bytes:
    """Return the raw body of at most `limit` bytes, and leave it readable for the view.

    The limit of the application stays what it is. Raise `BodyTooLarge`, or `BadRequest` if the body
    ends too early.
    """
    own_limit = request.max_content_length
    limit = limit if own_limit is None else min(limit, own_limit)
    request.max_content_length = limit
    try:
        body = request.get_data()
    except RequestEntityTooLarge:
        raise _too_large(limit) from None
    except ClientDisconnected:
        raise BadRequest("The body ended too early.") from None
    finally:
        request.max_content_length = own_limit
    # Werkzeug silently truncates a body without a declared length at the limit.
    if request.content_length is None and len(body) >= limit:
        raise _too_large(limit)
    request.stream = io.BytesIO(body)  # the view may read it by itself
    return body


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body may have at most {limit} bytes.")


def _each_secret(name: str, secrets: object) -> list[str | bytes]:
    """Return the secrets of a credential. Raise `TypeError`, which shows none of them."""
    if isinstance(secrets, str | bytes) or not isinstance(secrets, Iterable):
        msg = f"the credential {name} takes a list of secrets; write secrets=[SECRET]"
        raise TypeError(msg)
    found = list(secrets)
    for secret in found:
        if not isinstance(secret, str | bytes):
            kind = type(secret).__name__
            msg = f"the credential {name} has {kind} in place of a secret; is a variable not set?"
            raise TypeError(msg)
    return found


def _as_bytes(secret: str | bytes) -> bytes:
    return secret.encode() if isinstance(secret, str) else secret


def _hmac(secret: bytes, before: bytes, body: bytes) -> bytes:
    signature = hmac.new(secret, before, hashlib.sha256)
    signature.update(body)
    return signature.digest()


def _all_of(signatures: Iterable[bytes | None]) -> list[bytes]:
    """Return the signatures; none if one of them has another format."""
    found = list(signatures)
    return [one for one in found if one] if all(found) else []


def _decode_hex(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text) if text.isascii() and text.isalnum() else None
    except ValueError:
        return None


def _decode_base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True) or None
    except (UnicodeError, binascii.Error):
        return None
