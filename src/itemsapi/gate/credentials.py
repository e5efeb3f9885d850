"""Credentials: what a request carries. Read strictly; decides nothing.

Exactly one transport counts: the Authorization header. Tokens in queries, forms, bodies or cookies
open no endpoint (RFC 6750 section 2, RFC 9700 section 4.3.2).
"""

import re

from flask import Request

from itemsapi.problems import TokenInvalid

_BEARER = re.compile(r"bearer +([!-~]+)", re.IGNORECASE | re.ASCII)
_SCHEME = re.compile(r"bearer(?![!-~])", re.IGNORECASE | re.ASCII)


def bearer(request: Request) -> str | None:
    """Return the bearer token of a request, or None if it shows no bearer credential.

    The scheme is compared without case and parted by one or more spaces (RFC 9110 section 11.1).
    Raises `TokenInvalid` for a bearer credential that is malformed, or two of them.
    """
    header = request.environ.get("HTTP_AUTHORIZATION", "")
    match = _BEARER.fullmatch(header)
    if match is not None:
        return match[1]
    if _SCHEME.match(header):
        raise TokenInvalid
    return None
