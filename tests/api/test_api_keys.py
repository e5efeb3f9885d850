"""API keys: users make them for programs, and use them where a rule says so (S-163)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, text, update

from itemsapi.accounts.models import User, UserRole
from itemsapi.issuer import api_key_lookup
from itemsapi.issuer.retention import purge, purge_targets
from itemsapi.problems import DatabaseUnavailable
from itemsapi.tokens.api_keys import ApiKey, make_api_key
from support.app_factory import Backend
from support.manual_timer import ManualTimer
from support.tokens import error_code, event_details

KEYS = "/me/api-keys"
ITEM = {"name": "Lamp", "price": "1.00", "currency": "EUR"}


def make_key(client: FlaskClient, *scopes: str, **fields: Any) -> dict[str, Any]:
    """Make a key that must be acceptable; return the response body."""
    body = {"name": "export", "scopes": scopes or ["items:read"]} | fields
    response = client.post(KEYS, json=body)
    assert response.status_code == 201, response.get_json()
    return dict(response.get_json())


@pytest.fixture
def program(backend: Backend, ada: FlaskClient) -> FlaskClient:
    """A client with a key of ada that may read items."""
    return backend.bearer_client(make_key(ada)["key"])


def test_a_key_gives_access_to_the_items_of_its_user(
    ada: FlaskClient, program: FlaskClient
) -> None:
    """S-163: as its user, where the rule accepts keys."""
    ada.post("/items", json=ITEM)
    assert [item["name"] for item in program.get("/items").get_json()["items"]] == ["Lamp"]


def test_a_key_lacks_the_scopes_that_it_was_not_given(program: FlaskClient) -> None:
    """S-163: although its user has them."""
    assert error_code(program.post("/items", json=ITEM)) == "insufficient_scope"


def test_the_items_of_others_stay_hidden_from_a_key(eve: FlaskClient, program: FlaskClient) -> None:
    """S-081: as they are from its user."""
    item = eve.post("/items", json=ITEM).get_json()
    assert program.get(f"/items/{item['id']}").status_code == 404


@pytest.mark.dialect("sqlite")
@pytest.mark.parametrize("path", ["/me", KEYS, "/auth/sessions"])
def test_a_key_is_rejected_where_the_rule_does_not_name_it(program: FlaskClient, path: str) -> None:
    """S-163: a new credential opens no route, and a key never stands in for a sign-in."""
    response = program.get(path)
    assert (response.status_code, error_code(response)) == (401, "credential_not_accepted")


@pytest.mark.dialect("sqlite")
def test_no_key_makes_a_key(program: FlaskClient) -> None:
    """S-163: whoever finds one cannot keep access by making another."""
    response = program.post(KEYS, json={"name": "more", "scopes": ["items:read"]})
    assert response.status_code == 401


@pytest.mark.dialect("sqlite")
def test_no_key_ends_a_session(program: FlaskClient) -> None:
    """The rule of the logout names access tokens only."""
    assert error_code(program.post("/auth/logout", json={})) == "credential_not_accepted"


def test_a_key_is_shown_once(ada: FlaskClient) -> None:
    """S-163: the list has its beginning only."""
    made = make_key(ada)
    (listed,) = ada.get(KEYS).get_json()["items"]
    assert listed == {name: value for name, value in made.items() if name != "key"}
    assert made["key"][:10] == listed["shown"]


def test_the_database_does_not_have_the_key(backend: Backend, ada: FlaskClient) -> None:
    """S-163: no table has it, or the part that the list does not show."""
    made = make_key(ada)
    with backend.services.database.reading() as connection:
        rows = connection.execute(text("SELECT * FROM itemsapi_api_key")).all()
        events = connection.execute(text("SELECT * FROM itemsapi_audit_event")).all()
    assert made["key"].removeprefix(made["shown"]) not in f"{rows}{events}"


@pytest.mark.dialect("sqlite")
def test_no_key_is_logged(
    backend: Backend, ada: FlaskClient, capfd: pytest.CaptureFixture[str]
) -> None:
    """S-150: made, used, revoked and refused."""
    made = make_key(ada)
    client = backend.bearer_client(made["key"])
    client.get("/items")
    ada.delete(f"{KEYS}/{made['id']}")
    client.get("/items")
    assert made["key"].removeprefix(made["shown"]) not in "".join(capfd.readouterr())


@pytest.mark.dialect("sqlite")
def test_a_key_cannot_have_a_scope_that_its_user_lacks(ada: FlaskClient) -> None:
    """S-084."""
    response = ada.post(KEYS, json={"name": "x", "scopes": ["users:read"]})
    assert (response.status_code, response.get_json()["errors"][0]["field"]) == (422, "scopes")


@pytest.mark.dialect("sqlite")
def test_a_narrowed_token_makes_no_wider_key(backend: Backend) -> None:
    """S-084: the scopes of the token count, not those of the user."""
    client = backend.signed_in_client("ada", "member", scope="items:read")
    response = client.post(KEYS, json={"name": "x", "scopes": ["items:write"]})
    assert response.status_code == 422


@pytest.mark.dialect("sqlite")
@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": "x" * 121},
        {"name": "a\x1b[2J"},
        {"scopes": []},
        {"scopes": [1]},
        {"expires_in_days": 0},
        {"expires_in_days": 367},
        {"user_id": "other"},
    ],
)
def test_a_key_with_other_properties_is_rejected(ada: FlaskClient, fields: dict[str, Any]) -> None:
    """S-082, S-115: exactly these fields, within bounds."""
    body = {"name": "x", "scopes": ["items:read"]} | fields
    assert ada.post(KEYS, json=body).status_code == 422


def test_a_revoked_key_is_refused_at_once(ada: FlaskClient, backend: Backend) -> None:
    """S-163: in the process that revoked it."""
    made = make_key(ada)
    client = backend.bearer_client(made["key"])
    client.get("/items")
    assert ada.delete(f"{KEYS}/{made['id']}").status_code == 204
    assert error_code(client.get("/items")) == "invalid_api_key"


def test_a_revoked_key_is_refused_by_another_process_within_a_second(
    ada: FlaskClient,
    backend: Backend,
    make_backend: Callable[..., Backend],
    timer: ManualTimer,
) -> None:
    """S-163: it remembers the key for less than the revocation lag."""
    made, other = make_key(ada), make_backend()
    client = other.bearer_client(made["key"])
    client.get("/items")
    ada.delete(f"{KEYS}/{made['id']}")
    timer.advance(0.7)
    assert error_code(client.get("/items")) == "invalid_api_key"


@pytest.mark.dialect("sqlite")
def test_a_key_is_refused_but_kept_when_the_layer_has_no_such_user(
    backend: Backend, program: FlaskClient
) -> None:
    """S-163: a process without the users of an application must not revoke their keys."""
    with backend.services.database.transaction() as tx:
        tx.execute(update(ApiKey).values(user_id="7"))
    assert error_code(program.get("/items")) == "invalid_api_key"
    with backend.services.database.reading() as connection:
        assert connection.scalar(select(ApiKey.core().c.revoked_at)) is None


@pytest.mark.dialect("sqlite")
def test_a_key_costs_no_query_within_that_time(
    backend: Backend, program: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate looks it up once."""
    program.get("/items")
    calls: list[object] = []
    monkeypatch.setattr(backend.services.api_key_lookup, "_load", calls.append)
    program.get("/items")
    assert calls == []


def test_only_its_user_can_revoke_a_key(ada: FlaskClient, eve: FlaskClient) -> None:
    """S-081: for others it does not exist."""
    made = make_key(ada)
    assert eve.delete(f"{KEYS}/{made['id']}").status_code == 404
    assert len(ada.get(KEYS).get_json()["items"]) == 1


@pytest.mark.dialect("sqlite")
def test_a_key_is_revoked_once(ada: FlaskClient) -> None:
    """The second time it does not exist."""
    path = f"{KEYS}/{make_key(ada)['id']}"
    assert [ada.delete(path).status_code for _ in range(2)] == [204, 404]


def test_a_key_of_a_disabled_user_is_refused(
    backend: Backend, admin: FlaskClient, program: FlaskClient, ada: FlaskClient, timer: ManualTimer
) -> None:
    """S-163: within the same second."""
    user = ada.get("/me").get_json()["id"]
    program.get("/items")
    etag = admin.get(f"/users/{user}").headers["ETag"]
    disabled = admin.patch(f"/users/{user}", json={"disabled": True}, headers={"If-Match": etag})
    timer.advance(0.7)
    assert (disabled.status_code, error_code(program.get("/items"))) == (200, "invalid_api_key")


def test_a_key_loses_the_scopes_that_its_user_loses(
    backend: Backend, ada: FlaskClient, program: FlaskClient, timer: ManualTimer
) -> None:
    """S-183: roles that shrink shrink all keys."""
    program.get("/items")
    with backend.services.database.transaction() as tx:
        tx.query(UserRole).delete()
    timer.advance(0.7)
    assert error_code(program.get("/items")) == "insufficient_scope"


def test_a_key_of_a_user_with_a_temporary_password_only_waits(
    backend: Backend, program: FlaskClient
) -> None:
    """S-119: the user changes the password first."""
    later = backend.clock.current + timedelta(days=365)
    with backend.services.database.transaction() as tx:
        tx.execute(update(User).values(password_expires_at=later))
    assert error_code(program.get("/items")) == "password_change_required"


@pytest.mark.parametrize("days", [1, 366])
def test_a_key_expires_after_its_days(backend: Backend, ada: FlaskClient, days: int) -> None:
    """S-163: to the second, also while it is remembered."""
    client = backend.bearer_client(make_key(ada, expires_in_days=days)["key"])
    backend.clock.advance(days=days, seconds=-1)
    before = client.get("/items").status_code
    backend.clock.advance(seconds=1)
    assert (before, error_code(client.get("/items"))) == (200, "invalid_api_key")


@pytest.mark.dialect("sqlite")
@pytest.mark.parametrize(
    "key",
    ["itk_", make_api_key()[:-1], make_api_key(), "itk_" + "0" * 5000],
    ids=["prefix", "short", "other", "long"],
)
def test_an_unknown_key_is_refused(backend: Backend, key: str) -> None:
    """S-163: empty, truncated, well-formed and unknown, far too long."""
    response = backend.bearer_client(key).get("/items")
    assert (response.status_code, error_code(response)) == (401, "invalid_api_key")
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]


@pytest.mark.dialect("sqlite")
@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("bearer {}", 200),
        ("BEARER   {}", 200),
        ("Bearer {} ", 401),
        ("Bearer {},{}", 401),
        ("Basic {}", 401),
        ("{}", 401),
    ],
)
def test_a_key_is_sent_as_a_bearer_token(
    backend: Backend, ada: FlaskClient, authorization: str, status: int
) -> None:
    """RFC 9110 section 11.1: the scheme in any case, and one credential."""
    key = make_key(ada)["key"]
    headers = {"Authorization": authorization.format(key, key)}
    assert backend.client().get("/items", headers=headers).status_code == status


@pytest.mark.dialect("sqlite")
@pytest.mark.parametrize("where", ["query", "header", "cookie"])
def test_a_key_in_another_place_is_no_credential(
    backend: Backend, ada: FlaskClient, where: str
) -> None:
    """S-011: exactly one way, which proxies and logs treat as secret."""
    key, client = make_key(ada)["key"], backend.client()
    client.set_cookie("api_key", key if where == "cookie" else "x")
    headers = {"X-API-Key": key} if where == "header" else {}
    query = {"limit": 5} | ({"access_token": key} if where == "query" else {})
    assert client.get("/items", headers=headers, query_string=query).status_code == 401


@pytest.mark.dialect("sqlite")
def test_a_token_that_contains_the_prefix_is_no_key(backend: Backend) -> None:
    """Base64url has its characters, too."""
    assert error_code(backend.bearer_client("eyJ.itk_.x").get("/items")) == "invalid_token"


@pytest.mark.dialect("sqlite")
def test_a_malformed_key_costs_no_query(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checksum tells."""
    calls: list[object] = []
    monkeypatch.setattr(backend.services.api_key_lookup, "_load", calls.append)
    backend.bearer_client("itk_" + "0" * 49).get("/items")
    assert calls == []


@pytest.mark.dialect("sqlite")
def test_an_unknown_key_counts_for_the_address(make_backend: Callable[..., Backend]) -> None:
    """As an invalid token does (S-112)."""
    client = make_backend(rate_limit="3/hour").bearer_client(make_api_key())
    assert [client.get("/items").status_code for _ in range(4)] == [401, 401, 401, 429]


@pytest.mark.dialect("sqlite")
def test_a_key_counts_for_its_user(make_backend: Callable[..., Backend]) -> None:
    """Many keys give nobody more requests."""
    backend = make_backend(rate_limit="4/hour")
    ada = backend.signed_in_client("ada", "member")
    keys = [make_key(ada)["key"] for _ in range(3)]
    statuses = [backend.bearer_client(key).get("/items").status_code for key in keys]
    assert statuses == [200, 429, 429]


@pytest.mark.dialect("sqlite")
def test_a_key_is_refused_with_503_while_the_database_is_away(
    backend: Backend, program: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-003: what cannot be checked is not admitted."""

    def fail() -> None:
        raise DatabaseUnavailable

    monkeypatch.setattr(type(backend.services.database), "reading", lambda _: fail())
    assert program.get("/items").status_code == 503


def test_a_user_has_a_limited_number_of_keys(make_backend: Callable[..., Backend]) -> None:
    """S-118: a revoked key does not count."""
    ada = make_backend(api_key_limit=2).signed_in_client("ada", "member")
    made = [make_key(ada) for _ in range(2)]
    body = {"name": "x", "scopes": ["items:read"]}
    assert error_code(ada.post(KEYS, json=body)) == "quota_exceeded"
    ada.delete(f"{KEYS}/{made[0]['id']}")
    assert ada.post(KEYS, json=body).status_code == 201


def test_parallel_requests_do_not_exceed_that_number(
    make_backend: Callable[..., Backend],
) -> None:
    """S-118: the limit is checked in the transaction of the change."""
    backend = make_backend(api_key_limit=3)
    token = backend.signed_in_client("ada", "member").environ_base["HTTP_AUTHORIZATION"][7:]
    body = {"name": "x", "scopes": ["items:read"]}

    def post(_: int) -> int:
        return backend.bearer_client(token).post(KEYS, json=body).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(post, range(8))) == [201] * 3 + [409] * 5


def test_the_use_of_a_key_is_shown_in_steps_of_five_minutes(
    backend: Backend, ada: FlaskClient, program: FlaskClient, timer: ManualTimer
) -> None:
    """So that a used key can be told from a forgotten one."""
    past = timedelta(minutes=backend.clock().minute % 5, seconds=backend.clock().second)
    step = backend.clock() - past + timedelta(minutes=5)
    backend.clock.current = step + timedelta(minutes=2, seconds=3)
    program.get("/items")
    (listed,) = ada.get(KEYS).get_json()["items"]
    assert datetime.fromisoformat(listed["last_used_at"]) == step


@pytest.mark.dialect("sqlite")
def test_a_use_that_cannot_be_recorded_fails_no_request(
    backend: Backend, program: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-04: the next one tries again."""
    monkeypatch.setattr(api_key_lookup, "_NOTE_USE", "no statement")
    assert program.get("/items").status_code == 200


def test_the_audit_trail_has_both_ends_of_a_key(backend: Backend, ada: FlaskClient) -> None:
    """S-149: who made it, with which scopes, and who revoked it."""
    made = make_key(ada)
    ada.delete(f"{KEYS}/{made['id']}")
    created, revoked = (
        event_details(backend, f"api_key_{what}") for what in ("created", "revoked")
    )
    assert created == [{"key_id": made["id"], "scopes": "items:read"}]
    assert revoked == [{"key_id": made["id"]}]


def test_old_keys_are_purged(backend: Backend, ada: FlaskClient) -> None:
    """A week after they were revoked or expired; usable ones stay."""
    made = [make_key(ada, expires_in_days=days) for days in (1, 30, 30)]
    ada.delete(f"{KEYS}/{made[1]['id']}")
    issuer = backend.services.issuer
    deleted = list[int]()
    for _ in range(2):
        backend.clock.advance(days=7)
        (target,) = (one for one in purge_targets(issuer) if one.name == "API keys")
        deleted.append(purge(issuer, target, pause=lambda _: None))
    assert deleted == [0, 2]


@pytest.mark.dialect("sqlite")
def test_the_process_remembers_a_limited_number_of_keys(
    backend: Backend, ada: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest is looked up again."""
    monkeypatch.setattr(api_key_lookup, "MAX_REMEMBERED_KEYS", 2)
    for key in [make_key(ada)["key"] for _ in range(3)]:
        backend.bearer_client(key).get("/items")
    assert len(backend.services.api_key_lookup._remembered) == 2  # noqa: SLF001 - not visible otherwise


def test_a_key_of_a_deleted_user_is_refused(backend: Backend, program: FlaskClient) -> None:
    """The row of the key may outlive its user, who is perhaps in another database."""
    with backend.services.database.transaction() as tx:
        tx.execute(update(ApiKey).values(user_id="nobody"))
    assert error_code(program.get("/items")) == "invalid_api_key"


@pytest.mark.dialect("sqlite")
def test_the_document_names_both_credentials(backend: Backend) -> None:
    """S-080: as alternatives, with the scopes."""
    document = backend.client().get("/openapi.json").get_json()
    assert document["paths"]["/items"]["get"]["security"] == [
        {"bearer": ["items:read"]},
        {"api_key": ["items:read"]},
    ]
