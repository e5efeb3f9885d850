"""The page of the audit trail, for operators."""

import pytest
from flask.testing import FlaskClient

from support.app_factory import Backend
from support.operator_client import list_all, operator_client


@pytest.fixture
def reader(backend: Backend) -> FlaskClient:
    """An operator who may read the trail, after a few things happened."""
    backend.create_user("ada", "member")
    for _ in range(3):
        backend.login("ada")
    return operator_client(backend, "audit:read")


def test_the_newest_comes_first(reader: FlaskClient) -> None:
    """The reader's own sign-in."""
    found = reader.get("/audit").get_json()["items"]
    assert [event["id"] for event in found] == sorted((e["id"] for e in found), reverse=True)
    assert found[0]["event"] == "authn_login_success"


def test_an_event_says_who_what_when_and_from_where(reader: FlaskClient) -> None:
    """When in UTC, where by address and request (S-149)."""
    event = reader.get("/audit").get_json()["items"][0]
    assert event["at"].endswith("Z")
    assert (event["address"], len(event["request_id"])) == ("127.0.0.1", 36)


def test_pages_follow_one_another(reader: FlaskClient) -> None:
    """Each event once."""
    found = [event["id"] for event in list_all(reader, "/audit", limit=2)]
    assert found == sorted(set(found), reverse=True)
    assert len(found) > 2


def test_it_is_filtered_by_user(backend: Backend, reader: FlaskClient) -> None:
    """What concerns one user."""
    ada = backend.services.users.get_by_name("ada").id
    found = reader.get(f"/audit?user_id={ada}").get_json()["items"]
    assert [event["user_id"] for event in found] == [ada] * 3


def test_it_is_filtered_by_event(reader: FlaskClient) -> None:
    """What happened of one kind."""
    found = reader.get("/audit?event=privilege_permissions_changed").get_json()["items"]
    assert [event["details"]["after"] for event in found] == ["audit:read"]


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
def test_what_cannot_be_asked_is_refused(reader: FlaskClient, query: str) -> None:
    """Unprocessable, and no server error (S-014)."""
    assert reader.get(f"/audit?{query}").status_code == 422


def test_another_scope_does_not_open_it(backend: Backend) -> None:
    """All the others together neither (S-009)."""
    others = backend.services.issuer.known_scopes() - {"audit:read"}
    assert operator_client(backend, *others).get("/audit").status_code == 403
