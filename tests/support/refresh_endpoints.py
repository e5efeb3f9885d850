"""The doors at which a refresh token is presented: the body, the cookie, and the OAuth endpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from itemsapi.rest.cookies import NAME
from support.app_factory import Backend
from support.browser_client import (
    cookie_header,
    make_browser,
    refresh_cookie,
    set_cookie_lines,
    sign_in,
)


@dataclass(frozen=True)
class RefreshResult:
    """What a door answered; `refresh_token` is None where none was handed out.

    `code` is the code of a refusal, `ok` without one. OAuth has two for all of ours.
    """

    status: int
    code: str
    access_token: str
    refresh_token: str | None
    headers: Mapping[str, str]


class BodyEndpoint:
    """POST /auth/refresh with the token in the body, as programs do."""

    name = "body"

    def sign_in(self, backend: Backend, name: str) -> str:
        """Sign a user in; return the refresh token."""
        return str(backend.login(name)["refresh_token"])

    def refresh(
        self, backend: Backend, token: str, attempt: str = "", scope: str = ""
    ) -> RefreshResult:
        """Present a refresh token."""
        body = {"refresh_token": token} | ({"scope": scope} if scope else {})
        return _read(backend.client().post("/auth/refresh", json=body, headers=_headers(attempt)))


class OAuthEndpoint(BodyEndpoint):
    """POST /oauth/token, as standard OAuth clients do."""

    name = "oauth"

    def refresh(
        self, backend: Backend, token: str, attempt: str = "", scope: str = ""
    ) -> RefreshResult:
        """Present a refresh token."""
        form = {"grant_type": "refresh_token", "refresh_token": token, "scope": scope}
        return _read(backend.client().post("/oauth/token", data=form, headers=_headers(attempt)))


class CookieEndpoint:
    """POST /auth/refresh with the token in the cookie, as browsers do."""

    name = "cookie"

    def sign_in(self, backend: Backend, name: str) -> str:
        """Sign a user in; return the refresh token."""
        client = make_browser(backend)
        assert sign_in(client, name).status_code == 200
        return str(refresh_cookie(client))

    def refresh(
        self, backend: Backend, token: str, attempt: str = "", scope: str = ""
    ) -> RefreshResult:
        """Present a refresh token."""
        client = make_browser(backend, jar=False)
        headers = cookie_header(token) | _headers(attempt)
        body = {"scope": scope} if scope else {}
        answer = client.post("/auth/refresh", json=body, headers=headers)
        assert "refresh_token" not in (answer.get_json() or {})
        return _read(answer)


RefreshEndpoint = BodyEndpoint | CookieEndpoint
REFRESH_ENDPOINTS: list[RefreshEndpoint] = [BodyEndpoint(), CookieEndpoint(), OAuthEndpoint()]


def _headers(attempt: str) -> dict[str, str]:
    return {"Idempotency-Key": attempt} if attempt else {}


def _read(answer: Any) -> RefreshResult:
    said = answer.get_json() or {}
    lines = [line.split(";")[0] for line in set_cookie_lines(answer)]
    cookies = [line.removeprefix(f"{NAME}=") for line in lines]
    handed = said.get("refresh_token") or (cookies[0] if cookies else None)
    refusal = said.get("code") or said.get("error") or "ok"
    token = str(said.get("access_token", ""))
    return RefreshResult(answer.status_code, refusal, token, handed, answer.headers)
