"""The doors at which a refresh token is presented: the body, the cookie, and the OAuth endpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from itemsapi.rest.cookies import NAME
from support.app_factory import Backend
from support.browser_client import browser, cookie_lines, sign_in, token_in, with_cookies


@dataclass(frozen=True)
class Refreshed:
    """What a door answered; `refresh_token` is None where none was handed out.

    `code` is the code of a refusal, `ok` without one. OAuth has two for all of ours.
    """

    status: int
    code: str
    access_token: str
    refresh_token: str | None
    headers: Mapping[str, str]


class BodyDoor:
    """POST /auth/refresh with the token in the body, as programs do."""

    name = "body"

    def sign_in(self, backend: Backend, name: str) -> str:
        """Sign a user in; return the refresh token."""
        return str(backend.login(name)["refresh_token"])

    def refresh(
        self, backend: Backend, token: str, attempt: str = "", scope: str = ""
    ) -> Refreshed:
        """Present a refresh token."""
        body = {"refresh_token": token} | ({"scope": scope} if scope else {})
        return _read(backend.client().post("/auth/refresh", json=body, headers=_headers(attempt)))


class OAuthDoor(BodyDoor):
    """POST /oauth/token, as standard OAuth clients do."""

    name = "oauth"

    def refresh(
        self, backend: Backend, token: str, attempt: str = "", scope: str = ""
    ) -> Refreshed:
        """Present a refresh token."""
        form = {"grant_type": "refresh_token", "refresh_token": token, "scope": scope}
        return _read(backend.client().post("/oauth/token", data=form, headers=_headers(attempt)))


class CookieDoor:
    """POST /auth/refresh with the token in the cookie, as browsers do."""

    name = "cookie"

    def sign_in(self, backend: Backend, name: str) -> str:
        """Sign a user in; return the refresh token."""
        client = browser(backend)
        assert sign_in(client, name).status_code == 200
        return str(token_in(client))

    def refresh(
        self, backend: Backend, token: str, attempt: str = "", scope: str = ""
    ) -> Refreshed:
        """Present a refresh token."""
        client = browser(backend, jar=False)
        headers = with_cookies(token) | _headers(attempt)
        body = {"scope": scope} if scope else {}
        answer = client.post("/auth/refresh", json=body, headers=headers)
        assert "refresh_token" not in (answer.get_json() or {})
        return _read(answer)


Door = BodyDoor | CookieDoor
DOORS: list[Door] = [BodyDoor(), CookieDoor(), OAuthDoor()]


def _headers(attempt: str) -> dict[str, str]:
    return {"Idempotency-Key": attempt} if attempt else {}


def _read(answer: Any) -> Refreshed:
    said = answer.get_json() or {}
    lines = [line.split(";")[0] for line in cookie_lines(answer)]
    cookies = [line.removeprefix(f"{NAME}=") for line in lines]
    handed = said.get("refresh_token") or (cookies[0] if cookies else None)
    refusal = said.get("code") or said.get("error") or "ok"
    token = str(said.get("access_token", ""))
    return Refreshed(answer.status_code, refusal, token, handed, answer.headers)
