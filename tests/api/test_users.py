"""The endpoints of users and their sessions, for operators."""

import pytest
from flask.testing import FlaskClient

from support.app_factory import Backend
from support.operator_client import (
    NEW_PASSWORD,
    events,
    is_signed_in,
    list_all,
    operator_client,
    patch_user,
)


@pytest.fixture
def bob(backend: Backend) -> str:
    """The id of a member."""
    return backend.create_user("bob", "member")


def test_a_user_is_created(backend: Backend, admin: FlaskClient) -> None:
    """With a normalised name, and roles."""
    payload = {"username": "Ada", "password": NEW_PASSWORD, "roles": ["member"]}
    response = admin.post("/users", json=payload)
    assert (response.status_code, response.get_json()["username"]) == (201, "ada")
    assert is_signed_in(backend, backend.login("ada", password=NEW_PASSWORD))


def test_a_created_user_is_found_at_its_location(admin: FlaskClient) -> None:
    """`Location` and `ETag` are those of the new user."""
    created = admin.post("/users", json={"username": "ada", "password": NEW_PASSWORD})
    shown = admin.get(created.headers["Location"])
    assert shown.get_json() == created.get_json()
    assert shown.headers["ETag"] == created.headers["ETag"]


def test_no_response_contains_a_password(admin: FlaskClient, bob: str) -> None:
    """Neither the hash nor anything else outside the schema (S-083)."""
    assert admin.get(f"/users/{bob}").get_json().keys() == {
        "id", "username", "disabled", "roles", "created_at", "updated_at",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({"username": "\u0430da", "password": NEW_PASSWORD}, "username"),
        ({"username": "ada", "password": "short"}, "password"),
        ({"username": "ada", "password": NEW_PASSWORD, "roles": ["boss"]}, "roles"),
        ({"username": "ada", "password": NEW_PASSWORD, "everything": True}, "everything"),
        ({"username": "ada"}, "password"),
    ],
)
def test_the_error_of_an_invalid_user_names_its_field(
    admin: FlaskClient, payload: dict[str, object], field: str
) -> None:
    """No user is created."""
    response = admin.post("/users", json=payload)
    assert (response.status_code, response.get_json()["errors"][0]["field"]) == (422, field)
    assert len(admin.get("/users").get_json()["items"]) == 1


def test_a_name_that_is_taken_is_a_conflict(admin: FlaskClient, bob: str) -> None:
    """In any case (S-158)."""
    response = admin.post("/users", json={"username": "BOB", "password": NEW_PASSWORD})
    assert response.status_code == 409


def test_users_are_listed_by_name(backend: Backend, admin: FlaskClient) -> None:
    """Each once, whatever the size of the pages."""
    names = ["eve", "cy", "dan", "bea"]
    for name in names:
        backend.create_user(name)
    shown = [user["username"] for user in list_all(admin, "/users", limit=2)]
    assert shown == sorted(["root", *names])


@pytest.mark.parametrize(("q", "shown"), [("b", ["bob"]), ("BO", ["bob"]), ("%", []), ("_ob", [])])
def test_users_are_found_by_the_beginning_of_their_name(
    admin: FlaskClient, bob: str, q: str, shown: list[str]
) -> None:
    """Wildcards of LIKE are literal characters."""
    page = admin.get("/users", query_string={"q": q}).get_json()
    assert [user["username"] for user in page["items"]] == shown


def test_a_user_is_disabled_and_enabled(admin: FlaskClient, bob: str) -> None:
    """Each change makes a new ETag."""
    first = patch_user(admin, bob, '"v1"', disabled=True)
    second = patch_user(admin, bob, first.headers["ETag"], disabled=False)
    assert (first.get_json()["disabled"], second.get_json()["disabled"]) == (True, False)
    assert second.headers["ETag"] == '"v3"'


def test_roles_and_state_change_together(admin: FlaskClient, bob: str) -> None:
    """In one request."""
    user = patch_user(admin, bob, roles=["reader"], disabled=True).get_json()
    assert (user["roles"], user["disabled"]) == (["reader"], True)


def test_other_roles_make_another_version(admin: FlaskClient, bob: str) -> None:
    """A client that read the user before gets 412 (S-153)."""
    assert patch_user(admin, bob, '"v1"', roles=["reader"]).headers["ETag"] == '"v2"'


def test_a_change_needs_the_version_it_was_made_against(admin: FlaskClient, bob: str) -> None:
    """428 without a version, 412 for another one (S-153)."""
    assert admin.patch(f"/users/{bob}", json={"disabled": True}).status_code == 428
    assert patch_user(admin, bob, '"v9"', disabled=True).status_code == 412


def test_a_change_without_effect_keeps_the_version(admin: FlaskClient, bob: str) -> None:
    """Copies of other clients stay current."""
    assert patch_user(admin, bob).headers["ETag"] == '"v1"'


def test_a_user_is_not_sent_again_when_the_client_has_the_version(
    admin: FlaskClient, bob: str
) -> None:
    """304 for the ETag of the client."""
    assert admin.get(f"/users/{bob}", headers={"If-None-Match": '"v1"'}).status_code == 304


def test_a_password_is_set(backend: Backend, admin: FlaskClient, bob: str) -> None:
    """The sessions end, and the new password works."""
    old = backend.login("bob")
    assert admin.put(f"/users/{bob}/password", json={"password": NEW_PASSWORD}).status_code == 204
    assert not is_signed_in(backend, old)
    assert backend.login("bob", password=NEW_PASSWORD)


def test_a_password_is_rejected_when_it_breaks_the_policy(admin: FlaskClient, bob: str) -> None:
    """The user's own name is considered (S-130)."""
    response = admin.put(f"/users/{bob}/password", json={"password": "bob-bob-bob-bob"})
    assert response.status_code == 422


def test_all_sessions_of_a_user_end(backend: Backend, admin: FlaskClient, bob: str) -> None:
    """Those of other users continue (S-125)."""
    first, second = backend.login("bob"), backend.login("bob")
    assert admin.delete(f"/users/{bob}/sessions").status_code == 204
    assert not is_signed_in(backend, first)
    assert not is_signed_in(backend, second)
    assert admin.get("/me").status_code == 200


def test_the_sessions_of_all_users_end(backend: Backend, admin: FlaskClient, bob: str) -> None:
    """The operator's own too (S-125, R-19)."""
    tokens = backend.login("bob")
    assert admin.delete("/sessions").status_code == 204
    assert not is_signed_in(backend, tokens)
    assert admin.get("/me").status_code == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/users/{}"),
        ("PATCH", "/users/{}"),
        ("PUT", "/users/{}/password"),
        ("DELETE", "/users/{}/sessions"),
    ],
)
@pytest.mark.parametrize("user_id", ["01960a3b-9a10-7f02-8a55-6b1f0c9d2e10", "root", "%00", "1"])
def test_an_unknown_user_is_not_found(
    admin: FlaskClient, method: str, path: str, user_id: str
) -> None:
    """Invalid ids cause no server error (S-014)."""
    body = {"password": NEW_PASSWORD} if method == "PUT" else {}
    sent = None if method in {"GET", "DELETE"} else body
    response = admin.open(path.format(user_id), method=method, headers={"If-Match": "*"}, json=sent)
    assert response.status_code in {400, 404}


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        ("users:read", "GET", "/users"),
        ("users:read", "GET", "/users/{}"),
        ("users:write", "POST", "/users"),
        ("users:write", "PATCH", "/users/{}"),
        ("users:write", "PUT", "/users/{}/password"),
        ("sessions:write", "DELETE", "/users/{}/sessions"),
        ("sessions:write", "DELETE", "/sessions"),
    ],
)
def test_other_scopes_do_not_give_access(
    backend: Backend, bob: str, scope: str, method: str, path: str
) -> None:
    """Not even all of them together (S-009)."""
    others = backend.services.issuer.known_scopes() - {scope}
    response = operator_client(backend, *others).open(path.format(bob), method=method)
    assert (response.status_code, response.get_json()["code"]) == (403, "insufficient_scope")


def test_the_actions_of_operators_are_audited(backend: Backend, admin: FlaskClient) -> None:
    """Who did what to whom (S-149)."""
    created = admin.post("/users", json={"username": "ada", "password": NEW_PASSWORD}).get_json()
    patch_user(admin, created["id"], roles=["reader"])
    patch_user(admin, created["id"], disabled=True)
    root = backend.services.users.get_by_name("root").id
    for name in ["user_created", "authz_change", "user_updated"]:
        assert len(events(backend, name, user_id=created["id"], caller_id=root)) == 1
