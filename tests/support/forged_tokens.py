"""Forged tokens, whose every byte a test controls, and protected endpoints that count calls."""

from collections.abc import Callable
from dataclasses import dataclass, field

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from itemsapi import Blueprint, Scope, current_caller, public, requires, signed_in
from itemsapi.testing.tokens import decode_part, sign
from itemsapi.tokens.keys import Key
from support.app_factory import Backend

VAULT = Scope("vault:open", "Open the vault")
ACCEPTED, REJECTED, TOKEN_MISSING = "accepted", "rejected as an invalid token", "token missing"
MEMBERS = {"type", "title", "status", "detail", "code", "request_id"}
LIBRARY_WORDS = ("jwt", "decod", "segment", "padding", "signature", "traceback", "exception", "kid")


@dataclass
class ProtectedEndpoints:
    """A blueprint of protected endpoints that counts each call of a view."""

    calls: int = 0
    blueprint: Blueprint = field(init=False)

    def __post_init__(self) -> None:
        """Register the endpoints with their rules."""
        self.blueprint = Blueprint("vault", __name__)
        self.blueprint.route("/vault", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])(
            requires(VAULT)(self._make_view("vault"))
        )
        self.blueprint.get("/whoever")(signed_in(self._make_view("whoever")))
        self.blueprint.get("/hall")(public("a hall is open")(self._make_view("hall")))

    def _make_view(self, name: str) -> Callable[[], object]:
        def view() -> dict[str, object]:
            """Count the call."""
            self.calls += 1
            return {} if name == "hall" else {"user": current_caller().user_id}

        view.__name__ = name
        return view


class TokenForger:
    """Forges access tokens for one backend, starting from a valid one."""

    def __init__(self, backend: Backend, vault: ProtectedEndpoints) -> None:
        """Sign in a user who may call the protected endpoints, and decode their token."""
        self.backend, self.vault = backend, vault
        if not vault.calls:
            backend.create_user("forger", "admin")
        self.login = backend.login("forger")
        self.valid_token: str = self.login["access_token"]
        self.header, self.payload = (
            decode_part(self.valid_token, 0),
            decode_part(self.valid_token, 1),
        )

    @property
    def key(self) -> Key:
        """The key that signs access tokens."""
        return self.backend.services.key_set.snapshot().current

    def token(self, header: object = None, payload: object = None) -> str:
        """Sign another header or another payload with the real key."""
        header = self.header if header is None else header
        return sign(self.key, header, self.payload if payload is None else payload)

    def with_claims(self, **claims: object) -> str:
        """Sign the payload with some claims changed; `...` removes a claim."""
        changed = self.payload | claims
        return self.token(payload={n: value for n, value in changed.items() if value is not ...})

    def with_header(self, **members: object) -> str:
        """Sign the token with some header members changed; `...` removes one."""
        changed = self.header | members
        return self.token({name: value for name, value in changed.items() if value is not ...})

    def client(self) -> FlaskClient:
        """Return a client without a credential."""
        return self.backend.client()

    def try_token(self, token: str) -> str:
        """Send a token to a protected endpoint; return the outcome or what is wrong with it."""
        return self.try_authorization(f"Bearer {token}")

    def try_authorization(self, authorization: str | None, path: str = "/vault") -> str:
        """Send an Authorization header to a path; return the outcome."""
        headers = {} if authorization is None else {"Authorization": authorization}
        before = self.vault.calls
        response = self.client().get(path, headers=headers)
        if response.status_code == 200:
            return ACCEPTED if self.vault.calls == before + 1 else "accepted without a handler"
        return classify_rejection(response, handler_skipped=before == self.vault.calls)


def classify_rejection(response: TestResponse, *, handler_skipped: bool) -> str:
    """Return the kind of a rejection, or what is wrong with it (S-008, S-100)."""
    if not handler_skipped:
        return "the handler ran"
    text, body = response.get_data(as_text=True), response.get_json(force=True)
    if response.status_code != 401 or body.keys() != MEMBERS or len(text) > 500:
        return f"{response.status_code} {text[:200]}"
    if leaked := [word for word in LIBRARY_WORDS if word in text.lower()]:
        return f"the response contains {leaked}"
    challenge = response.headers["WWW-Authenticate"]
    if body["code"] == "token_missing":
        return TOKEN_MISSING if challenge == 'Bearer realm="itemsapi"' else challenge
    good = body["code"] == "invalid_token" and 'error="invalid_token"' in challenge
    return REJECTED if good else text
