"""What any database must answer, whatever its defaults are: one small story, over HTTP."""

from datetime import datetime
from typing import Any

from support.app_factory import Backend

ITEM_NAME = "Lämpchen 電球 \\ 'quoted'"


def run_smoke_test(backend: Backend) -> dict[str, Any]:
    """Sign in, refresh, make an item and find it again; return what came of each step."""
    backend.create_user("ada", "member")
    signed_in = backend.login("ada")
    body = {"refresh_token": signed_in["refresh_token"]}
    renewed = backend.client().post("/auth/refresh", json=body).get_json()
    client = backend.bearer_client(renewed["access_token"])
    item = {"name": ITEM_NAME, "price": "12.50", "currency": "EUR"}
    made = client.post("/items", json=item)
    listed = client.get("/items").get_json()["items"]
    sessions = client.get("/auth/sessions").get_json()["items"]
    return {
        "made": made.status_code,
        "words": [one["name"] for one in listed],
        "prices": [one["price"] for one in listed],
        "times": {_seconds(one["created_at"]) for one in [*listed, *sessions]},
    }


def expected_result(backend: Backend) -> dict[str, Any]:
    """Return what has to come of them."""
    now = backend.clock().replace(microsecond=0)
    return {"made": 201, "words": [ITEM_NAME], "prices": ["12.50"], "times": {now}}


def _seconds(moment: str) -> datetime:
    return datetime.fromisoformat(moment).replace(microsecond=0)
