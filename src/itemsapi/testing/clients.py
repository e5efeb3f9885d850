"""Test clients that send a credential: of any caller, or of a user who signed in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal

from flask import Flask, url_for
from flask.testing import FlaskClient

from itemsapi.testing.application import PASSWORD, seal
from itemsapi.testing.tokens import access_token
from itemsapi.tokens.scopes import Scope

SIGN_IN = "itemsapi.auth.sign_in"  # the endpoint
PAGE_HEADERS = {  # what a page of the application's own origin sends
    "HTTP_X_AUTH_DELIVERY": "cookie",
    "HTTP_SEC_FETCH_SITE": "same-origin",
}


def caller_client(app: Flask, scopes: Iterable[Scope | str] = (), **token: Any) -> FlaskClient:
    """Return a client of `app.test_client_class` that sends an access token with `scopes`.

    `token` are further options of `access_token`: `user_id`, `session_id`, `age`, `amr`, `claims`.
    A request with an `Authorization` header of its own is sent with that one. Raise what
    `access_token` raises.
    """
    return bearer_client(app, access_token(app, scopes, **token))


def bearer_client(app: Flask, token: str) -> FlaskClient:
    """Return a client that sends this access token."""
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


@dataclass(frozen=True, slots=True)
class SignIn:
    """A new session of a user: a client that sends its access token, and the body of the response.

    With `delivery="cookie"` the client has the refresh token as a cookie, and sends the headers
    that a page of the application sends.
    """

    client: FlaskClient
    body: Mapping[str, Any] = field(repr=False)

    @property
    def access_token(self) -> str:
        """The access token."""
        return str(self.body["access_token"])

    @property
    def refresh_token(self) -> str | None:
        """The refresh token; None if it is in a cookie."""
        return self.body.get("refresh_token")

    @property
    def session_id(self) -> str:
        """The id of the session."""
        return str(self.body["session_id"])


def sign_in(
    app: Flask,
    username: str,
    password: str = PASSWORD,
    *,
    delivery: Literal["body", "cookie"] = "body",
    **fields: Any,
) -> SignIn:
    """Sign a user in over HTTP; `fields` are added to the body of the request, such as `scope`.

    Raise `AssertionError` with the response if it is not a 200.
    """
    seal(app)
    with app.test_request_context():
        path = url_for(SIGN_IN)
    client = app.test_client()
    if delivery == "cookie":
        client.environ_base |= PAGE_HEADERS
    response = client.post(path, json={"username": username, "password": password} | fields)
    if response.status_code != HTTPStatus.OK:
        raise AssertionError(f"{username} cannot sign in: {response.get_data(as_text=True)}")
    granted: dict[str, Any] = response.get_json()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {granted['access_token']}"
    return SignIn(client, granted)
