"""Credentials that the gate must refuse, each with one defect.

All carry every scope of the application, so that nothing but the defect can be the reason for the
refusal. RFC 8725 (best practices for JWTs) and RFC 9068 section 4 say what a resource server has to
check.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from flask import Flask

from itemsapi.clock import new_id
from itemsapi.services import services_of
from itemsapi.testing.attack import INVALID, MISSING, Attack, bearer_attack
from itemsapi.testing.tokens import access_token, decode_part, encode_part, sign, with_claims
from itemsapi.tokens.keys import generate_key, symmetric_key
from itemsapi.tokens.revocation import session_target, user_target

HOURS = timedelta(hours=2)  # longer than any access token lives


class TokenForger:
    """Makes bad credentials for one application; some are revoked in its database for that."""

    def __init__(self, app: Flask) -> None:
        """Seal the application, and make a valid token with all scopes to start from."""
        self.app, self.services = app, services_of(app)
        self.valid = self.token()

    def token(self, scopes: frozenset[str] | None = None, **options: Any) -> str:
        """Return a valid token of a new user, with all scopes by default."""
        return access_token(
            self.app, self.services.scopes() if scopes is None else scopes, **options
        )

    def attacks(self) -> list[Attack]:
        """Return the attacks that every guarded route must refuse."""
        tokens = {**self._with_other_keys(), **self._with_other_claims(), **self._revoked()}
        bearer = [bearer_attack(name, token) for name, token in tokens.items()]
        return [*self._malformed(), *self._elsewhere(), *bearer]

    def _malformed(self) -> Iterator[Attack]:
        yield Attack("no credential", MISSING)
        for name, header, refusal in (
            ("Basic instead of Bearer", "Basic dXNlcjpwYXNzd29yZA==", MISSING),
            ("another scheme", f"Token {self.valid}", MISSING),
            ("no scheme", self.valid, MISSING),
            ("no token", "Bearer", INVALID),
            ("not a token", "Bearer nonsense", INVALID),
            ("two words", f"Bearer {self.valid} {self.valid}", INVALID),
            ("two credentials", f"Bearer {self.valid}, Bearer {self.valid}", INVALID),
        ):
            yield Attack(name, refusal, {"Authorization": header})

    def _elsewhere(self) -> Iterator[Attack]:
        """A token counts in the Authorization header only (RFC 9700 section 4.3.2)."""
        yield Attack("token in the query", MISSING, query={"access_token": self.valid})
        yield Attack("token in a form", MISSING, form={"access_token": self.valid})
        yield Attack("token in X-Access-Token", MISSING, {"X-Access-Token": self.valid})
        for cookie in ("access_token", "access_token_cookie"):
            yield Attack(
                f"token in the cookie {cookie}", MISSING, {"Cookie": f"{cookie}={self.valid}"}
            )

    def _with_other_keys(self) -> dict[str, str]:
        header, payload = decode_part(self.valid, 0), decode_part(self.valid, 1)
        head, body, signature = self.valid.split(".")
        key = self.services.key_set.snapshot().current
        wrong, public = generate_key(key.alg), key.public_jwk()
        tokens = {
            "another key under the same kid": sign(wrong, header, payload),
            "a key that is not known": sign(wrong, header | {"kid": wrong.kid}, payload),
            "alg none": f"{encode_part(header | {'alg': 'none'})}.{body}.",
            "no signature": f"{head}.{body}.",
            "changed payload": f"{head}.{encode_part(payload | {'sub': new_id()})}.{signature}",
            "typ of another kind of token": sign(key, header | {"typ": "JWT"}, payload),
        }
        if public:  # RFC 8725 section 2.1: the public key taken for a shared secret
            shared = symmetric_key(encode_part(public).encode())
            tokens["HS256 with the public key"] = sign(shared, header | {"alg": "HS256"}, payload)
        return tokens

    def _with_other_claims(self) -> dict[str, str]:
        refresh = self.services.token_codec.create_refresh_token(
            sub=new_id(),
            sid=new_id(),
            gen=1,
            issued_at=self.services.clock(),
            expires_at=self.services.clock() + HOURS,
        )
        return {
            "expired": self.token(age=HOURS),
            "not valid yet": self.token(age=-HOURS),
            "of another issuer": self._changed(iss="https://issuer.invalid"),
            "for another audience": self._changed(aud="another audience"),
            "refresh token as access token": refresh,
        }

    def _revoked(self) -> dict[str, str]:
        """Revoke a session, and the tokens of a user; neither exists otherwise."""
        session_id, user_id = new_id(), new_id()
        tokens = {
            "revoked session": self.token(session_id=session_id),
            "tokens of the user revoked": self.token(user_id=user_id),
        }
        targets = session_target(session_id), user_target(user_id)
        with self.services.database.transaction() as tx:
            self.services.revocation_feed.revoke(tx, *targets)
        return tokens

    def _changed(self, **claims: object) -> str:
        return with_claims(self.services, self.valid, claims)
