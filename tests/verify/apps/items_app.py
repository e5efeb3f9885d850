"""Our own service, behind a front that breaks one thing on demand.

    python items_app.py PORT FAULT     FAULT: one of FAULTS, or "clean"

The gate itself has no switch to break it, so the faults are those of what people put before it: a
cache that forgets whose answer it holds, a sign-out that is not passed on, an edited document.
The database is in the current folder.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from werkzeug.serving import make_server
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from itemsapi import create_app
from itemsapi.accounts.models import COMMAND_LINE
from itemsapi.clock import now
from itemsapi.composition import build_services
from itemsapi.db import upgrade
from itemsapi.settings import Settings

FAULTS = (
    "open-route",
    "wrong-scope",
    "missing-401",
    "head-bypass",
    "foreign-object",
    "living-token",
    "override",
)
SECRET = "t3st-only-0123456789-abcdefghijklmnopqrstuvwxyz"
PASSWORD = "plain horse battery staple"
USERS = ("ada", "eve")


class Front:
    """A WSGI application before another one; `remembered` holds answers by path."""

    def __init__(self, application: Any, fault: str) -> None:
        self.application, self.fault = application, fault
        self.inner = Client(application, Response)
        self.remembered: dict[str, Response] = {}
        self.admin = ""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request, or pass it on."""
        return self.answer(Request(environ))(environ, start_response)

    def answer(self, request: Request) -> Response:
        """Answer in the broken way, or as the service does."""
        if request.path == "/openapi.json":
            return self.edited(self.forward(request))
        return self.broken(request) or self.forward(request)

    def broken(self, request: Request) -> Response | None:
        """Answer in the broken way; None if this request is answered as it should be."""
        item = request.path.startswith("/items/")
        if self.fault == "open-route" and request.path == "/items" and request.method == "GET":
            return self.forward(request, as_admin=True)
        if self.fault == "head-bypass" and request.method == "HEAD":
            return Response(status=200)
        if self.fault == "living-token" and request.path == "/auth/logout":
            return Response(status=204)
        if self.fault == "foreign-object" and item and request.method == "GET":
            return self.cached(request)
        if self.fault == "override" and "X-HTTP-Method-Override" in request.headers and item:
            return self.forward(
                request, method=request.headers["X-HTTP-Method-Override"], as_admin=True
            )
        return None

    def cached(self, request: Request) -> Response:
        """Answer whoever has a valid token with what the first one got."""
        if self.forward(request, path="/me").status_code == 200:
            known = self.remembered.get(request.path)
            if known is not None and "If-None-Match" not in request.headers:
                return known
        answer = self.forward(request)
        if answer.status_code == 200:
            self.remembered[request.path] = answer
        return answer

    def forward(
        self, request: Request, *, method: str = "", path: str = "", as_admin: bool = False
    ) -> Response:
        """Pass a request on, as the admin if that is wanted."""
        headers = dict(request.headers)
        headers.pop("Content-Length", None)
        if as_admin:
            headers["Authorization"] = f"Bearer {self.admin}"
            headers.setdefault("If-Match", "*")
        return self.inner.open(
            path or request.path,
            method=method or request.method,
            query_string=request.query_string.decode(),
            headers=headers,
            data=request.get_data(),
            buffered=True,
        )

    def edited(self, answer: Response) -> Response:
        """Return the document, with a fault in it."""
        document = json.loads(answer.get_data())
        listing = document["paths"]["/items"]["get"]
        if self.fault == "missing-401":
            del listing["responses"]["401"]
        if self.fault == "wrong-scope":
            listing["security"] = [{"bearer": ["items:write"]}]
        return Response(json.dumps(document), mimetype="application/json")


def main(port: int, fault: str) -> None:
    """Create the database with both users, and serve."""
    settings = Settings.from_environment(
        {
            "ITEMSAPI_DATA_DIR": str(Path.cwd()),
            "ITEMSAPI_SECRET_KEY": SECRET,
            "ITEMSAPI_RATE_LIMIT": "off",
        }
    )
    services = build_services(settings, now)
    upgrade(services.database)
    for name in USERS:
        services.users.create(COMMAND_LINE, name, PASSWORD, ["admin"])
    front = Front(create_app(settings), fault)
    signed_in = front.inner.post("/auth/login", json={"username": "ada", "password": PASSWORD})
    front.admin = signed_in.get_json()["access_token"]
    make_server("127.0.0.1", port, front, threaded=True).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
