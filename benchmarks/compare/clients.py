"""How the program of each library is spoken to: where its tokens are, how it refreshes."""

import base64
import json
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

PASSWORD = "Plain-horse-battery-staple-7"  # with a digit and a capital: some libraries demand them


@dataclass
class Tokens:
    """What a sign-in gives."""

    access: str | None
    refresh: str | None = None


@dataclass
class Answer:
    """A response: its status and its JSON."""

    status: int
    body: Any

    def tokens(self, before: Tokens | None) -> Tokens:
        """Return the tokens in the response; what it does not have stays as before."""
        body = self.body if isinstance(self.body, dict) else {}
        old = before or Tokens(None)
        return Tokens(
            body.get("access_token", old.access), body.get("refresh_token") or old.refresh
        )


@dataclass
class Client:
    """A client of one program; the methods are those of OAuth's names and bearer tokens."""

    requirements: list[str]
    distribution: str
    base: str = ""
    passwords: dict[str, str] = field(default_factory=dict)

    def prepare(self, python: str) -> None:
        """Create the users, if the program does not do it itself."""

    def headers(self, access: str | None) -> dict[str, str]:
        """Return the headers that carry the access token."""
        return {"Authorization": f"Bearer {access}"} if access else {}

    def send(
        self,
        method: str,
        path: str,
        *,
        access: str | None = None,
        payload: object = None,
        form: str | None = None,
    ) -> Answer:
        """Send a request, with JSON or a form."""
        headers = {"Accept": "application/json", **self.headers(access)}
        data = None
        if form is not None:
            data, headers["Content-Type"] = form.encode(), "application/x-www-form-urlencoded"
        elif payload is not None:
            data, headers["Content-Type"] = json.dumps(payload).encode(), "application/json"
        request = urllib.request.Request(self.base + path, data, headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
                return Answer(response.status, _json(response.read()))
        except urllib.error.HTTPError as error:
            return Answer(error.code, _json(error.read()))

    def sign_in(self, name: str) -> Tokens:
        """Sign a user in. Raise `RuntimeError` if that fails."""
        answer = self.login(name)
        tokens = answer.tokens(None)
        if tokens.access is None:
            raise RuntimeError(f"no token for {name}: {answer}")
        return tokens

    def login(self, name: str) -> Answer:
        """Send the sign-in."""
        payload = {"username": name, "password": PASSWORD}
        return self.send("POST", "/login", payload=payload)

    def refresh(self, tokens: Tokens) -> Answer | None:
        """Refresh; None if the library has no refresh."""
        return self.send("POST", "/refresh", access=tokens.refresh)

    def sign_out(self, tokens: Tokens) -> Answer | None:
        """Sign out; None if the library has no sign-out."""
        return self.send("POST", "/logout", access=tokens.access)


class ItemsApi(Client):
    """itemsapi: ada is an admin, eve has a role without the right."""

    def prepare(self, python: str) -> None:
        """Create the database and the users with the command line."""
        run = [python, "-m", "itemsapi"]
        subprocess.run([*run, "db", "upgrade"], check=True, capture_output=True)
        for name, role in (("ada", "admin"), ("eve", "member")):
            command = [*run, "users", "add", name, "--role", role, "--json"]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            self.passwords[name] = json.loads(done.stdout)["password"]

    def login(self, name: str) -> Answer:
        """Send the sign-in."""
        payload = {"username": name, "password": self.passwords[name]}
        return self.send("POST", "/auth/login", payload=payload)

    def refresh(self, tokens: Tokens) -> Answer | None:
        """Send the refresh token in the body."""
        return self.send("POST", "/auth/refresh", payload={"refresh_token": tokens.refresh})

    def sign_out(self, tokens: Tokens) -> Answer | None:
        """Send the refresh token in the body."""
        return self.send("POST", "/auth/logout", payload={"refresh_token": tokens.refresh})


class FlaskSimpleAuth(Client):
    """FlaskSimpleAuth has neither refresh nor sign-out."""

    def login(self, name: str) -> Answer:
        """Send user and password as parameters."""
        return self.send("POST", "/login", payload={"USER": name, "PASS": PASSWORD})

    def refresh(self, tokens: Tokens) -> Answer | None:
        """There is none."""

    def sign_out(self, tokens: Tokens) -> Answer | None:
        """There is none."""


class FlaskSecurity(Client):
    """Flask-Security: an authentication token in a header of its own, without refresh."""

    def headers(self, access: str | None) -> dict[str, str]:
        """Return the header."""
        return {"Authentication-Token": access} if access else {}

    def login(self, name: str) -> Answer:
        """Ask for the token."""
        payload = {"email": f"{name}@example.com", "password": PASSWORD}
        answer = self.send("POST", "/login?include_auth_token", payload=payload)
        user = answer.body.get("response", {}).get("user", {}) if answer.body else {}
        return Answer(answer.status, {"access_token": user.get("authentication_token")})

    def refresh(self, tokens: Tokens) -> Answer | None:
        """There is none."""


class FastApiUsers(Client):
    """fastapi-users: the sign-in is a form, the user name is an e-mail address; no refresh."""

    def login(self, name: str) -> Answer:
        """Send the form of OAuth's password grant."""
        form = f"username={name}%40example.com&password={PASSWORD.replace(' ', '+')}"
        return self.send("POST", "/login", form=form)

    def refresh(self, tokens: Tokens) -> Answer | None:
        """There is none."""


class FlaskHeadlessAuth(Client):
    """flask-headless-auth: its own addresses; the refresh token is sent as a bearer token."""

    prefix = "/api/auth"

    def login(self, name: str) -> Answer:
        """Send e-mail address and password."""
        payload = {"email": f"{name}@example.com", "password": PASSWORD}
        return self.send("POST", f"{self.prefix}/login", payload=payload)

    def refresh(self, tokens: Tokens) -> Answer | None:
        """Send the refresh token as bearer token."""
        return self.send("POST", f"{self.prefix}/token/refresh", access=tokens.refresh)

    def sign_out(self, tokens: Tokens) -> Answer | None:
        """Send the access token as bearer token."""
        return self.send("POST", f"{self.prefix}/logout", access=tokens.access)


class BetterAuth(Client):
    """better-auth-server: a session token; users register themselves."""

    prefix = "/api/auth"

    def login(self, name: str) -> Answer:
        """Sign in; register first if that is refused."""
        payload = {"email": f"{name}@example.com", "password": PASSWORD, "name": name}
        answer = self.send("POST", f"{self.prefix}/sign-in/email", payload=payload)
        if answer.status >= HTTPStatus.BAD_REQUEST:
            answer = self.send("POST", f"{self.prefix}/sign-up/email", payload=payload)
        return Answer(answer.status, {"access_token": (answer.body or {}).get("token")})

    def refresh(self, tokens: Tokens) -> Answer | None:
        """There is none."""

    def sign_out(self, tokens: Tokens) -> Answer | None:
        """End the session."""
        return self.send("POST", f"{self.prefix}/sign-out", access=tokens.access, payload={})


def forge_unsigned(token: str | None) -> str | None:
    """Return a JWT with its signature removed and `alg: none`; None if it is no JWT."""
    parts = (token or "").split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, payload, signature
        return None
    try:
        header = json.loads(base64.urlsafe_b64decode(parts[0] + "=="))
    except ValueError:
        return None
    if not isinstance(header, dict) or "alg" not in header:
        return None
    text = json.dumps({**header, "alg": "none"}).encode()
    return f"{base64.urlsafe_b64encode(text).rstrip(b'=').decode()}.{parts[1]}."


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


CLIENTS: dict[str, Client] = {
    "itemsapi": ItemsApi(["."], "itemsapi"),
    "flask_jwt_extended": Client(["flask-jwt-extended"], "flask-jwt-extended"),
    "flasksimpleauth": FlaskSimpleAuth(["FlaskSimpleAuth"], "FlaskSimpleAuth"),
    "flask_security": FlaskSecurity(["flask-security-too[fsqla,common]"], "flask-security-too"),
    "fastapi_users": FastApiUsers(
        ["fastapi-users[sqlalchemy]", "aiosqlite", "uvicorn"], "fastapi-users"
    ),
    "flask_headless_auth": FlaskHeadlessAuth(
        ["flask-headless-auth", "requests"], "flask-headless-auth"
    ),
    "better_auth_server": BetterAuth(["better-auth-server[flask]"], "better-auth-server"),
}
