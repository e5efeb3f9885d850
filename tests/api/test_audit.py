"""The endpoint of the audit trail, for operators."""

import pytest
from flask.testing import FlaskClient

from support.app_factory import Backend
from support.operator_client import list_all, operator_client


@pytest.fixture
def reader(backend: Backend) -> FlaskClient:
    """An operator who may read the trail, after some events."""
    backend.create_user("ada", "member")
    for _ in range(3):
        backend.login("ada")
    return operator_client(backend, "audit:read")


def test_the_newest_event_comes_first(reader: FlaskClient) -> None:
    """It is the reader's own sign-in."""
    events = reader.get("/audit").get_json()["items"]
    assert [event["id"] for event in events] == sorted((e["id"] for e in events), reverse=True)
    assert events[0]["event"] == "authn_login_success"


def test_an_event_has_user_kind_time_and_origin(reader: FlaskClient) -> None:
    """The time in UTC, the origin by address and request (S-149)."""
    event = reader.get("/audit").get_json()["items"][0]
    assert event["at"].endswith("Z")
    assert (event["address"], len(event["request_id"])) == ("127.0.0.1", 36)


def test_each_event_is_on_one_page(reader: FlaskClient) -> None:
    """Each event once."""
    ids = [event["id"] for event in list_all(reader, "/audit", limit=2)]
    assert ids == sorted(set(ids), reverse=True)
    assert len(ids) > 2


def test_the_trail_is_filtered_by_user(backend: Backend, reader: FlaskClient) -> None:
    """What concerns one user."""
    ada = backend.services.users.get_by_name("ada").id
    events = reader.get(f"/audit?user_id={ada}").get_json()["items"]
    assert [event["user_id"] for event in events] == [ada] * 3


def test_the_trail_is_filtered_by_event(reader: FlaskClient) -> None:
    """What happened of one kind."""
    events = reader.get("/audit?event=privilege_permissions_changed").get_json()["items"]
    assert [event["details"]["after"] for event in events] == ["audit:read"]


@pytest.mark.parametrize(
    "query",
    [
        "cursor=x",
        "cursor=-1",
        "cursor=",
        "cursor=%D9%A3",
        "cursor=9999999999999999999",
        "event=%27",
        "user_id=1",
    ],
)
def test_a_query_is_rejected_when_it_is_invalid(reader: FlaskClient, query: str) -> None:
    """422, not a server error (S-014)."""
    assert reader.get(f"/audit?{query}").status_code == 422


def test_other_scopes_do_not_give_access(backend: Backend) -> None:
    """Not even all of them together (S-009)."""
    others = backend.services.issuer.known_scopes() - {"audit:read"}
    assert operator_client(backend, *others).get("/audit").status_code == 403
