"""Keys and their states: what the tests of the key ring are written with."""

from itemsapi.tokens.key_store import PUBLISHED
from support.app_factory import House
from support.forged_tokens import decoded


def keys(house: House) -> dict[str, str]:
    """Return the states of all keys, by kid, in the order they were made."""
    house.services.key_set.now()
    return {row.kid: row.state for row in house.services.key_set.key_store.listed()}


def states(house: House) -> list[str]:
    """Return the states of all keys, in alphabetical order."""
    return sorted(keys(house).values())


def kids(house: House) -> list[str]:
    """Return the key that signs and the next one."""
    ordered = sorted(keys(house).items(), key=lambda one: one[1])
    return [kid for kid, state in ordered if state in {"current", "next"}]


def jwks(house: House) -> list[str]:
    """Return the kids that others may verify with."""
    answer = house.client().get("/.well-known/jwks.json")
    assert answer.status_code == 200
    return [key["kid"] for key in answer.get_json()["keys"]]


def kid(token: str) -> str:
    """Return the kid of a token."""
    return str(decoded(token, 0)["kid"])


def access(house: House) -> str:
    """Sign ada in; return the access token."""
    return str(house.login("ada")["access_token"])


def works(house: House, token: str) -> bool:
    """Tell whether an access token is let in."""
    answer = house.bearer(token).get("/auth/sessions")
    assert answer.status_code in {200, 401}, answer.get_json()
    return bool(answer.status_code == 200)


def rotated(house: House) -> str:
    """Rotate as soon as that may be."""
    house.services.key_set.now()
    house.clock.forward(seconds=PUBLISHED.total_seconds())
    return house.services.key_set.rotate()


def poison(house: House, change: str, where: str) -> None:
    """Write into the rows of keys what should not stand there."""
    with house.services.database.transaction() as tx:
        tx.connection().exec_driver_sql(f"UPDATE itemsapi_signing_key SET {change} WHERE {where}")  # noqa: S608
