"""A token whose session was signed out through the service's own operation."""

import json
import time
from dataclasses import replace

from itemsapi.verify.attacks import Revoked
from itemsapi.verify.callers import Callers
from itemsapi.verify.document import Document, Operation
from itemsapi.verify.findings import Outcome
from itemsapi.verify.generated_requests import RequestMaker
from itemsapi.verify.settings import VerifySettings
from itemsapi.verify.tokens import Minted
from itemsapi.verify.wire import NoResponse, Request

_SIGN_OUT_NAMES = frozenset({"logout", "log-out", "signout", "sign-out"})
_REFRESH_FIELDS = frozenset({"refresh_token", "refresh"})


def find_sign_out(document: Document, settings: VerifySettings) -> Operation | None:
    """Return the operation that signs out: the named one, or one that is called so."""
    for operation in document.operations:
        named = operation.path.rstrip("/").rpartition("/")[2].replace("_", "-").lower()
        likely = operation.method in {"POST", "DELETE"} and named in _SIGN_OUT_NAMES
        if operation.label == settings.logout or (settings.logout is None and likely):
            return operation
    return None


def sign_out(
    document: Document, settings: VerifySettings, callers: Callers, maker: RequestMaker
) -> Revoked:
    """Mint a token, sign it out, and wait as long as the service may take to know it."""
    operation = find_sign_out(document, settings)
    if operation is None:
        return Revoked(None, reason="the document has no sign-out")
    request = maker.make(operation, {}, settings.values_for(operation.label))
    token = callers.tokens.mint(callers.user, callers.user_scopes)
    if request is None or token is None:
        return Revoked(None, Outcome.UNPROVED, "no request or no token for the sign-out")
    try:
        response = callers.send_with(token, _with_refresh_token(request, token))
    except NoResponse as error:
        return Revoked(None, Outcome.UNPROVED, f"{operation.label}: no response: {error}")
    if not response.succeeded:
        return Revoked(None, Outcome.UNPROVED, f"{operation.label} responds with {response.status}")
    time.sleep(settings.revocation_lag)
    return Revoked(token)


def _with_refresh_token(request: Request, token: Minted) -> Request:
    """Put the refresh token of the session into the body, where the sign-out takes it."""
    try:
        body = json.loads(request.body)
    except ValueError:
        return request
    if not isinstance(body, dict) or not token.refresh:
        return request
    filled = {name: token.refresh if name in _REFRESH_FIELDS else body[name] for name in body}
    return replace(request, body=json.dumps(filled).encode())
