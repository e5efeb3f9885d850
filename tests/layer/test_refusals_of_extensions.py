"""Hooks of other extensions that refuse a request for the layer, such as Flask-WTF's."""

from collections.abc import Callable

import pytest
from flask import Flask
from werkzeug.exceptions import BadRequest

from itemsapi import public
from support.app_factory import Backend

Protect = Callable[..., Backend]

pytestmark = pytest.mark.dialect("sqlite")

NEUTRAL = "The request is malformed"


class FormUnsigned(BadRequest):
    """The error of an extension."""

    description = "The CSRF token is missing."


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (FormUnsigned(), "The CSRF token is missing."),
        (FormUnsigned("The CSRF token has expired."), "The CSRF token has expired."),
        (BadRequest("cannot decode <script>"), NEUTRAL),
        (BadRequest(), NEUTRAL),
    ],
    ids=["of the class", "of the error", "of Werkzeug", "none"],
)
def test_the_reason_of_an_extension_is_passed_on(
    protect: Protect, error: BadRequest, detail: str
) -> None:
    """Those of Werkzeug may contain parts of the request, so they are not."""
    app = Flask("shop", static_folder=None)
    app.get("/")(public("the first page")(lambda: ""))

    @app.before_request
    def refuse() -> None:
        raise error

    response = protect(app).client().post("/auth/login", json={})
    assert (response.status_code, response.get_json()["detail"]) == (400, detail)
