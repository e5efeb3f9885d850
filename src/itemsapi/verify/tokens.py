"""Tokens to attack with: from a sign-in of the service, or from a command of its operator.

Every password and token is remembered here, so that a report can leave all of them out.
"""

import base64
import json
import os
import shlex
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol
from urllib.parse import urlencode

from itemsapi.verify.document import Document, Json, Operation
from itemsapi.verify.failures import CannotVerify
from itemsapi.verify.settings import LoginRequest
from itemsapi.verify.wire import NoResponse, Request, Wire

COMMAND_TIMEOUT_SECONDS: Final = 30
TokenKind = Literal["access", "refresh", "expired"]
_JSON, _FORM = "application/json", "application/x-www-form-urlencoded"
_USERNAME_FIELDS: Final = ("username", "email", "login", "user")
_ACCESS_FIELDS: Final = ("access_token", "access", "token")
_REFRESH_FIELDS: Final = ("refresh_token", "refresh")


@dataclass(frozen=True, slots=True)
class Minted:
    """An access token, and the refresh token that came with it, if one did."""

    access: str
    refresh: str | None = None
    granted: str | None = None  # the scopes that the sign-in says it granted
    ids: Mapping[str, str] = field(default_factory=dict)  # of what the sign-in made: `session_id`


class TokenSource(Protocol):
    """Where tokens come from."""

    def mint(self, who: str, scopes: Iterable[str], kind: TokenKind) -> Minted | None:
        """Return a new token of a user with these scopes; None if there is none of this kind."""


class TokenStore:
    """The tokens of a run: each is minted once, and anew when a request ended its session.

    `hidden` has the passwords of the run, so that no report shows them.
    """

    def __init__(self, source: TokenSource, hidden: list[str]) -> None:
        self._source, self._hidden = source, hidden
        self._minted: dict[tuple[str, frozenset[str], TokenKind], Minted | None] = {}

    def get(self, who: str, scopes: Iterable[str], kind: TokenKind = "access") -> Minted | None:
        """Return a token with exactly these scopes, or None if there is none of this kind."""
        key = (who, frozenset(scopes), kind)
        if key not in self._minted:
            self._minted[key] = self.mint(*key)
        return self._minted[key]

    def held_scopes(self, who: str, wanted: frozenset[str]) -> frozenset[str]:
        """Return which of these scopes a user has: all, or those of a sign-in that names none.

        Services refuse a sign-in that asks for more than the user has (RFC 6749 5.2,
        `invalid_scope`). A second refusal, of the user alone, is raised.
        """
        try:
            self.get(who, wanted)
        except CannotVerify:
            plain = self.get(who, ())
            return wanted.intersection((plain.granted or "").split()) if plain else frozenset()
        return wanted

    def mint(self, who: str, scopes: Iterable[str], kind: TokenKind = "access") -> Minted | None:
        """Return a new token, of a session of its own where the service has sessions."""
        minted = self._source.mint(who, sorted(scopes), kind)
        if minted:
            self._hidden += [minted.access, minted.refresh or ""]
        return minted

    def renew(self, who: str, scopes: Iterable[str]) -> None:
        """Mint the access token with these scopes anew: a dead one would prove nothing."""
        self._minted.pop((who, frozenset(scopes), "access"), None)

    def forget(self, who: str) -> None:
        """Mint the tokens of a user anew: one of them was refused."""
        self._minted = {key: value for key, value in self._minted.items() if key[0] != who}

    def redact(self, text: str) -> str:
        """Return a text without passwords and tokens."""
        for secret in sorted(filter(None, self._hidden), key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


class CommandTokens:
    """Tokens from a command of the operator.

    It finds `VERIFY_WHO`, `VERIFY_SCOPES` and `VERIFY_KIND` in its environment, and writes the
    token as its last line. Another exit code than 0 means that there is no such token.
    """

    def __init__(self, command: str) -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise CannotVerify(f"the token command cannot be read: {error}") from error

    def mint(self, who: str, scopes: Iterable[str], kind: TokenKind) -> Minted | None:
        """Run the command; raise `CannotVerify` if it cannot be run."""
        variables = {"VERIFY_WHO": who, "VERIFY_SCOPES": " ".join(scopes), "VERIFY_KIND": kind}
        try:
            done = subprocess.run(  # noqa: S603 - the operator's own command, without a shell
                self._words,
                env={**os.environ, **variables},
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                timeout=COMMAND_TIMEOUT_SECONDS,
                check=False,
            )
        except (OSError, ValueError, IndexError, subprocess.TimeoutExpired) as error:
            raise CannotVerify(
                f"the token command does not run: {type(error).__name__}; try it by hand"
            ) from error
        lines = done.stdout.split()
        return Minted(lines[-1]) if done.returncode == 0 and lines else None


class LoginTokens:
    """Tokens from the sign-in of the service, found in its document or named in the settings."""

    def __init__(
        self,
        wire: Wire,
        document: Document,
        login: LoginRequest,
        password_of: Callable[[str], str],
    ) -> None:
        self._wire, self._login, self._password_of = wire, login, password_of
        operation = _login_operation(document, login)
        media, names = _login_body(document, operation) if operation else (_JSON, ())
        self._target = document.base_path + (login.path or (operation.path if operation else ""))
        chosen = {"json": _JSON, "form": _FORM, None: media}
        if login.format not in chosen:
            raise CannotVerify("login_request.format must be json or form")
        self._media = chosen[login.format]
        found = next((name for name in _USERNAME_FIELDS if name in names), "username")
        self._username = login.username or found
        self._scope = login.scope if login.scope in names or not names else ""

    def mint(self, who: str, scopes: Iterable[str], kind: TokenKind) -> Minted | None:
        """Sign in; raise `CannotVerify` if the service refuses the user."""
        if kind == "expired":
            return None
        minted = self._sign_in(who, " ".join(scopes))
        if kind == "refresh":
            return Minted(minted.refresh) if minted.refresh else None
        return minted

    def _sign_in(self, who: str, scopes: str) -> Minted:
        fields = {self._username: who, self._login.password: self._password_of(who)}
        if self._scope and scopes:
            fields[self._scope] = scopes
        body = json.dumps(fields) if self._media == _JSON else urlencode(fields)
        request = Request("POST", self._target, {"Content-Type": self._media}, body.encode())
        try:
            response = self._wire.send(request)
        except NoResponse as error:
            raise CannotVerify(f"POST {self._target} gives no response: {error}") from error
        content = response.json if isinstance(response.json, dict) else {}
        access = _first_text(content, _ACCESS_FIELDS)
        if not response.succeeded or access is None:
            raise CannotVerify(
                f"POST {self._target} responds with {response.status} without a token for the user"
                f" {who}; check the password, and login_request in verify.toml"
            )
        ids = {k: v for k, v in content.items() if k.endswith("_id") and isinstance(v, str)}
        refresh, granted = _first_text(content, _REFRESH_FIELDS), _first_text(content, ("scope",))
        return Minted(access, refresh, granted, ids)


def holds_scope(token: Minted, scope: str) -> bool:
    """Whether a token has a scope that it should lack, as far as its claims or the grant say."""
    if token.granted is not None:
        return scope in token.granted.split()
    claims = decoded(token.access, 1)
    return any(
        scope in (value.split() if isinstance(value, str) else value)
        for value in claims.values()
        if isinstance(value, (str, list))
    )


def decoded(token: str, part: int) -> dict[str, Json]:
    """Return the header (0) or the claims (1) of a JWT; empty if it is none."""
    try:
        text = token.split(".")[part]
        content = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, IndexError, RecursionError):
        return {}
    return content if isinstance(content, dict) and token.count(".") == len("..") else {}


def _login_operation(document: Document, login: LoginRequest) -> Operation | None:
    """Return the operation that takes a password: the named one, or the likeliest."""
    if login.path:
        return document.find("POST", login.path)
    candidates = [
        operation
        for operation in document.operations
        if operation.method == "POST"
        and not operation.path_parameters
        and _takes_field(document, operation, login.password)
        and any(_takes_field(document, operation, name) for name in _USERNAME_FIELDS)
    ]
    likely = [o for o in candidates if any(word in o.path for word in ("login", "token", "sign"))]
    if not likely:
        raise CannotVerify(
            "the document has no sign-in that is known; name its path in login_request"
            " in verify.toml, or use --token-command"
        )
    return min(likely, key=lambda operation: ("login" not in operation.path, operation.path))


def _takes_field(document: Document, operation: Operation, name: str) -> bool:
    """Return whether the body of a sign-in has a field of this name."""
    return name in _login_body(document, operation)[1]


def _login_body(document: Document, operation: Operation) -> tuple[str, tuple[str, ...]]:
    """Return the media type of a body and the names of its fields."""
    body = document.resolve(operation.definition.get("requestBody") or {})
    for media, content in (body.get("content") or {}).items():
        if media in {_JSON, _FORM}:
            schema = document.resolve(content.get("schema") or {})
            return media, tuple(schema.get("properties", {}))
    return _JSON, ()


def _first_text(content: Mapping[str, Json], names: Iterable[str]) -> str | None:
    return next((content[name] for name in names if isinstance(content.get(name), str)), None)
