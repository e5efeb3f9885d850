"""A short scenario over HTTP that must work on any database, whatever its defaults."""

from datetime import datetime
from typing import Any

from support.app_factory import Backend

ITEM_NAME = "Lämpchen 電球 \\ 'quoted'"


def run_smoke_test(backend: Backend) -> dict[str, Any]:
    """Sign in, refresh, create an item and list it; return the result of each step."""
    backend.create_user("ada", "member")
    signed_in = backend.login("ada")
    body = {"refresh_token": signed_in["refresh_token"]}
    refreshed = backend.client().post("/auth/refresh", json=body).get_json()
    client = backend.bearer_client(refreshed["access_token"])
    item = {"name": ITEM_NAME, "price": "12.50", "currency": "EUR"}
    created = client.post("/items", json=item)
    listed = client.get("/items").get_json()["items"]
    sessions = client.get("/auth/sessions").get_json()["items"]
    return {
        "made": created.status_code,
        "words": [row["name"] for row in listed],
        "prices": [row["price"] for row in listed],
        "times": {_seconds(row["created_at"]) for row in [*listed, *sessions]},
    }


def expected_result(backend: Backend) -> dict[str, Any]:
    """Return what `run_smoke_test` must return."""
    now = backend.clock().replace(microsecond=0)
    return {"made": 201, "words": [ITEM_NAME], "prices": ["12.50"], "times": {now}}


def _seconds(moment: str) -> datetime:
    return datetime.fromisoformat(moment).replace(microsecond=0)
