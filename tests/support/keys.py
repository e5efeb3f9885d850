"""Signing keys and their states, for tests of the key set."""

from itemsapi.testing.tokens import decode_part
from itemsapi.tokens.key_store import PUBLISHED_BEFORE_SIGNING
from support.app_factory import Backend


def states_by_kid(backend: Backend) -> dict[str, str]:
    """Return the states of all keys by kid, in the order of their creation."""
    backend.services.key_set.snapshot()
    return {row.kid: row.state for row in backend.services.key_set.key_store.load_all()}


def key_states(backend: Backend) -> list[str]:
    """Return the states of all keys, sorted."""
    return sorted(states_by_kid(backend).values())


def signing_and_next_kids(backend: Backend) -> list[str]:
    """Return the kid of the current key and of the next one."""
    ordered = sorted(states_by_kid(backend).items(), key=lambda one: one[1])
    return [kid for kid, state in ordered if state in {"current", "next"}]


def published_kids(backend: Backend) -> list[str]:
    """Return the kids in the published JWKS."""
    response = backend.client().get("/.well-known/jwks.json")
    assert response.status_code == 200
    return [key["kid"] for key in response.get_json()["keys"]]


def kid_of(token: str) -> str:
    """Return the kid of a token."""
    return str(decode_part(token, 0)["kid"])


def login_ada(backend: Backend) -> str:
    """Sign ada in; return the access token."""
    return str(backend.login("ada")["access_token"])


def is_token_accepted(backend: Backend, token: str) -> bool:
    """Return whether the gate accepts an access token."""
    response = backend.bearer_client(token).get("/auth/sessions")
    assert response.status_code in {200, 401}, response.get_json()
    return bool(response.status_code == 200)


def rotate_when_allowed(backend: Backend) -> str:
    """Advance the clock until a rotation is allowed, and rotate."""
    backend.services.key_set.snapshot()
    backend.clock.advance(seconds=PUBLISHED_BEFORE_SIGNING.total_seconds())
    return backend.services.key_set.key_store.rotate()


def corrupt_keys(backend: Backend, change: str, where: str) -> None:
    """Change rows of keys directly in the database."""
    with backend.services.database.transaction() as tx:
        tx.connection().exec_driver_sql(f"UPDATE itemsapi_signing_key SET {change} WHERE {where}")  # noqa: S608
