"""The users and items of all programs: the same for every contestant, without any library."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import NamedTuple
from uuid import UUID

PASSWORD = "plain horse battery staple"
PAGE = 50
WORDS = (
    "lamp", "brass", "oak", "desk", "chair", "glass", "linen", "copper", "small", "large", "round",
    "old", "blue", "green",
)  # fmt: skip
FIRST = datetime(2025, 1, 1, tzinfo=UTC)


class ItemRow(NamedTuple):
    """An item, as each application stores it. The price is text, the tags are a list."""

    id: str
    name: str
    description: str
    sku: str
    price: str
    currency: str
    quantity: int
    tags: list[str]
    created_at: datetime


def user_names(count: int) -> list[str]:
    """Return the names of the users."""
    return [f"user-{number:04}" for number in range(count)]


def items_of(user: int, count: int) -> Iterator[ItemRow]:
    """Yield the items of a user, oldest first. The same user always has the same items."""
    random = Random(user)  # noqa: S311 - no secret
    for number in range(count):
        words = [random.choice(WORDS) for _ in range(30)]
        yield ItemRow(
            id=str(UUID(int=random.getrandbits(128), version=4)),
            name=" ".join(words[:3]),
            description=" ".join(words[3:28]),
            sku=f"S-{user}-{number}",
            price=f"{random.randrange(1, 100_000)}.{random.randrange(100):02}",
            currency=random.choice(("EUR", "USD", "GBP")),
            quantity=random.randrange(1000),
            tags=sorted(set(words[28:])),
            created_at=FIRST + timedelta(seconds=number * 29 + random.random()),
        )


def rows_of(user: int, count: int, owner_id: object) -> list[dict[str, object]]:
    """Return the items of a user as the rows of a table."""
    items = (item._asdict() for item in items_of(user, count))
    return [row | {"owner_id": owner_id, "updated_at": row["created_at"]} for row in items]
