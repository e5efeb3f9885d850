"""How each contestant is spoken to: its sign-in, its tokens and its pages."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import jwt

from bench.dataset import PAGE, PASSWORD, ItemRow
from bench.service_tokens import service_tokens
from bench.wrk import Request

SECRET = "benchmark-0123456789-abcdefghijklmnopqrstuvwxyz"
FAILED = 400


class Session(NamedTuple):
    """A signed-in user: the value of the header `Authorization`, and a refresh token if any."""

    authorization: str
    refresh_token: str = ""


@dataclass(frozen=True, kw_only=True)
class Client:
    """How a contestant is spoken to; the defaults are those of most.

    `login` makes the body of a sign-in from a user name; without it, `authorization` makes the
    header from the number of a user. `session` reads the answer to a sign-in. `refresh` makes a
    request from a refresh token, and `rotated` is the JSON field of the next token, if each is used
    once. `page` makes the query of a page from its number and the item before it; None for a client
    that follows cursors. `fresh` makes other headers `Authorization` for these sessions from the
    folder of the data, so many that no request finds its token remembered.
    """

    login_path: str = "/login"
    login: Callable[[str], str] | None = None
    authorization: Callable[[int], str] = str
    session: Callable[[dict[str, Any]], Session]
    refresh: Callable[[str], Request] | None = None
    rotated: str = ""
    page: Callable[[int, ItemRow | None], str] | None
    fresh: Callable[[Path, Sequence[str], int], Iterator[str]] | None = None

    def login_request(self, name: str) -> Request:
        """Return the request of a sign-in."""
        assert self.login is not None  # noqa: S101 - narrows the type
        return Request("POST", self.login_path, "", self.login(name))

    def sign_in(self, url: str, number: int, name: str) -> Session:
        """Return a session of a user."""
        if self.login is None:
            return Session(self.authorization(number))
        return self.session(send(url, self.login_request(name)))

    def pages(self, url: str, session: Session, items: list[ItemRow]) -> Iterator[Request]:
        """Yield the request of each page of a user; `items` are theirs, the newest first."""
        if self.page is None:
            yield from self._follow(url, session)
            return
        for number in range(len(items) // PAGE):
            before = items[number * PAGE - 1] if number else None
            yield Request("GET", f"/items{self.page(number, before)}", session.authorization)

    def _follow(self, url: str, session: Session) -> Iterator[Request]:
        cursor: str | None = ""
        while cursor is not None:
            query = f"?limit={PAGE}" + (f"&cursor={cursor}" if cursor else "")
            request = Request("GET", f"/items{query}", session.authorization)
            yield request
            cursor = send(url, request)["next_cursor"]


def send(url: str, request: Request) -> Any:  # noqa: ANN401 - JSON
    """Send a request; return the JSON of the answer. Raise `RuntimeError` for an error."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=60)
    form = "application/x-www-form-urlencoded"
    headers = {"Content-Type": "application/json" if request.body[:1] == "{" else form}
    headers |= {"Authorization": request.authorization} if request.authorization else {}
    headers |= {"X-Forwarded-For": "10.0.0.1"}
    try:
        connection.request(request.method, request.path, request.body or None, headers)
        response = connection.getresponse()
        answer = response.read()
    finally:
        connection.close()
    if response.status >= FAILED:
        raise RuntimeError(f"{request.path}: {response.status} {answer[:300].decode()}")
    return json.loads(answer)


def json_login(name: str) -> str:
    """Return the usual body of a sign-in."""
    return json.dumps({"username": name, "password": PASSWORD})


def bearer(access: str, refresh: str = "") -> Callable[[dict[str, Any]], Session]:
    """Return what reads these fields of a token response."""
    return lambda answer: Session(f"Bearer {answer[access]}", answer.get(refresh, ""))


def with_body(field: str) -> Callable[[str], Request]:
    """Return what makes a refresh with a token in this field of the body."""
    # Without spaces, as the script of wrk writes the next ones.
    return lambda token: Request("POST", "/refresh", "", f'{{"{field}":"{token}"}}')


def offset(number: int, _before: ItemRow | None) -> str:
    """Return the query of a page by its offset."""
    return f"?limit={PAGE}&offset={number * PAGE}"


def numbered(number: int, _before: ItemRow | None) -> str:
    """Return the query of a page by its number."""
    return f"?page_size={PAGE}&page={number + 1}"


def after_item(_number: int, before: ItemRow | None) -> str:
    """Return the query of a page by the time of the item before it."""
    later = f"&before={quote(before.created_at.isoformat())}" if before else ""
    return f"?limit={PAGE}{later}"


def _subject(answer: dict[str, Any]) -> Session:
    """Return the id of the user alone, for the service without its gate."""
    payload = answer["access_token"].split(".")[1]
    return Session(json.loads(urlsafe_b64decode(payload + "=="))["sub"])


def _signed(number: int) -> str:
    claims = {"sub": str(number), "exp": 4_102_444_800, "scope": "items:read items:write"}  # 2100
    return f"Bearer {jwt.encode(claims, SECRET, 'HS256')}"


TOKENS = bearer("access_token", "refresh_token")
SERVICE = Client(
    login_path="/auth/login",
    login=json_login,
    session=TOKENS,
    refresh=lambda token: with_body("refresh_token")(token)._replace(path="/auth/refresh"),
    rotated="refresh_token",
    page=None,
)
FIRST_USE = replace(SERVICE, fresh=service_tokens)
WITHOUT_GATE = Client(login_path="/auth/login", login=json_login, session=_subject, page=None)
FLOOR = Client(authorization=_signed, session=TOKENS, page=after_item)
PLAIN = Client(session=TOKENS, page=after_item)
RECIPE = Client(
    login=json_login,
    session=TOKENS,
    refresh=lambda token: Request("POST", "/refresh", f"Bearer {token}"),
    page=numbered,
)
FLASK_SECURITY = Client(
    login_path="/login?include_auth_token",
    login=lambda name: json.dumps({"email": f"{name}@example.com", "password": PASSWORD}),
    session=lambda answer: Session(answer["response"]["user"]["authentication_token"]),
    page=offset,
)
FASTAPI_USERS = Client(
    login=lambda name: urlencode({"username": f"{name}@example.com", "password": PASSWORD}),
    session=TOKENS,
    page=offset,
)
BY_HAND = Client(
    login=json_login, session=TOKENS, refresh=with_body("refresh_token"), page=after_item
)
DJANGO = Client(
    login=json_login,
    session=bearer("access", "refresh"),
    refresh=with_body("refresh"),
    rotated="refresh",
    page=offset,
)
