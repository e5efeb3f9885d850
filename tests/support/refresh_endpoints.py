"""The endpoints that accept a refresh token: in the body, in the cookie, and OAuth's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from itemsapi.endpoints.token_response import COOKIE_NAME
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
    """The response of a refresh endpoint; `refresh_token` is None if there is none in it.

    `code` is the problem code, `ok` on success. OAuth maps all problem codes to two.
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
        """Send a refresh token."""
        body = {"refresh_token": token} | ({"scope": scope} if scope else {})
        return _read(backend.client().post("/auth/refresh", json=body, headers=_headers(attempt)))


class OAuthEndpoint(BodyEndpoint):
    """POST /oauth/token, as standard OAuth clients do."""

    name = "oauth"

    def refresh(
        self, backend: Backend, token: str, attempt: str = "", scope: str = ""
    ) -> RefreshResult:
        """Send a refresh token."""
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
        """Send a refresh token."""
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


def _read(response: Any) -> RefreshResult:
    body = response.get_json() or {}
    lines = [line.split(";")[0] for line in set_cookie_lines(response)]
    cookies = [line.removeprefix(f"{COOKIE_NAME}=") for line in lines]
    refresh_token_received = body.get("refresh_token") or (cookies[0] if cookies else None)
    code = body.get("code") or body.get("error") or "ok"
    token = str(body.get("access_token", ""))
    return RefreshResult(
        response.status_code, code, token, refresh_token_received, response.headers
    )
