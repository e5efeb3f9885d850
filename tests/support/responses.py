"""What a client sees of a response."""

from typing import Any

from werkzeug.test import TestResponse


def visible_parts(response: TestResponse) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return everything a client sees of a response, except the request id."""
    body = {**response.get_json(), "request_id": ""}
    headers = {name: value for name, value in response.headers if name != "X-Request-Id"}
    return response.status_code, body, headers
