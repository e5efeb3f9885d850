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

import copy
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Any, Self

from flask import Request

from itemsapi import clock as clocks
from itemsapi.clock import Clock, unix_seconds
from itemsapi.gate.caller import Caller
from itemsapi.gate.credentials import WEBHOOK, require_credential_name
from itemsapi.gate.raw_body import read_raw_body
from itemsapi.gate.signature_formats import (
    SignatureParts,
    SignatureReader,
    body_signature,
    decode_base64,
    standard_signature,
    timestamped_signature,
)
from itemsapi.problems import SignatureInvalid
from itemsapi.tokens.scopes import Scope, scope_names

MAX_BODY = 65536  # bytes
TOLERANCE_SECONDS = 300  # as Stripe and Standard Webhooks have it
MIN_SECRET_BYTES = 16
MAX_SIGNATURES = 8  # in one request: senders repeat it for each secret while they change it


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
        keys = [decode_base64(text.removeprefix("whsec_")) or b"" for text in texts]
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
        body = read_raw_body(request, self._limit(request))
        if not self._matches(parts, body):
            raise SignatureInvalid
        return Caller(f"{WEBHOOK}:{self.name}", self._scopes, credential=self.name)

    def _limit(self, request: Request) -> int:
        """Return how many bytes of a body are read: no more than the application reads."""
        own_limit = request.max_content_length
        return self._max_body if own_limit is None else min(self._max_body, own_limit)

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
