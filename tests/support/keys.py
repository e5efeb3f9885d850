"""Keys and their states: what the tests of the key ring are written with."""

from itemsapi.tokens.key_store import PUBLISHED_BEFORE_SIGNING
from support.app_factory import Backend
from support.forged_tokens import decode_part


def states_by_kid(backend: Backend) -> dict[str, str]:
    """Return the states of all keys, by kid, in the order they were made."""
    backend.services.key_set.snapshot()
    return {row.kid: row.state for row in backend.services.key_set.key_store.load_all()}


def key_states(backend: Backend) -> list[str]:
    """Return the states of all keys, in alphabetical order."""
    return sorted(states_by_kid(backend).values())


def signing_and_next_kids(backend: Backend) -> list[str]:
    """Return the key that signs and the next one."""
    ordered = sorted(states_by_kid(backend).items(), key=lambda one: one[1])
    return [kid for kid, state in ordered if state in {"current", "next"}]


def published_kids(backend: Backend) -> list[str]:
    """Return the kids that others may verify with."""
    answer = backend.client().get("/.well-known/jwks.json")
    assert answer.status_code == 200
    return [key["kid"] for key in answer.get_json()["keys"]]


def kid_of(token: str) -> str:
    """Return the kid of a token."""
    return str(decode_part(token, 0)["kid"])


def login_ada(backend: Backend) -> str:
    """Sign ada in; return the access token."""
    return str(backend.login("ada")["access_token"])


def is_token_accepted(backend: Backend, token: str) -> bool:
    """Tell whether an access token is let in."""
    answer = backend.bearer_client(token).get("/auth/sessions")
    assert answer.status_code in {200, 401}, answer.get_json()
    return bool(answer.status_code == 200)


def rotate_when_allowed(backend: Backend) -> str:
    """Rotate as soon as that may be."""
    backend.services.key_set.snapshot()
    backend.clock.advance(seconds=PUBLISHED_BEFORE_SIGNING.total_seconds())
    return backend.services.key_set.rotate()


def corrupt_keys(backend: Backend, change: str, where: str) -> None:
    """Write into the rows of keys what should not stand there."""
    with backend.services.database.transaction() as tx:
        tx.connection().exec_driver_sql(f"UPDATE itemsapi_signing_key SET {change} WHERE {where}")  # noqa: S608
