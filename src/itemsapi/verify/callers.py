"""Send requests as nobody, as the user of the run, and as the other user."""

from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus

from itemsapi.verify.tokens import Minted, TokenStore
from itemsapi.verify.wire import Request, Response, Wire


@dataclass(frozen=True, slots=True)
class Callers:
    """Who sends: the names and the scopes of both users, and where their tokens come from."""

    wire: Wire
    tokens: TokenStore
    user: str
    user_scopes: frozenset[str]
    other: str | None = None
    other_scopes: frozenset[str] = frozenset()

    def scopes_of(self, who: str) -> frozenset[str]:
        """Return all scopes that a user may use in this run."""
        return self.user_scopes if who == self.user else self.other_scopes

    def send_with(self, token: Minted, request: Request) -> Response:
        """Send a request with a token."""
        return self.wire.send(request.with_headers(Authorization=f"Bearer {token.access}"))

    def send_as(self, who: str, scopes: Iterable[str], request: Request) -> Response | None:
        """Send a request as a user with exactly these scopes; None if there is no such token.

        An earlier request may have ended the session (a sign-out is an operation too), so a 401 is
        repeated once with a new token.
        """
        wanted = frozenset(scopes)
        token = self.tokens.get(who, wanted)
        if token is None:
            return None
        response = self.send_with(token, request)
        if response.status != HTTPStatus.UNAUTHORIZED:
            return response
        self.tokens.forget(who)
        token = self.tokens.get(who, wanted)
        return self.send_with(token, request) if token else None
