"""Holdings: how much each user holds, counted in the transaction of whatever changes it.

The limits, and the counting anew, are the affair of those who know the items (`items.quota`).
"""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import BigInteger, ForeignKey, String, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from itemsapi.db import Model

_GIVE_BACK: Final = text(
    "UPDATE itemsapi_quota_usage SET"
    " items = CASE WHEN items > :items THEN items - :items ELSE 0 END,"
    " bytes = CASE WHEN bytes > :bytes THEN bytes - :bytes ELSE 0 END,"
    " keys = CASE WHEN keys > :keys THEN keys - :keys ELSE 0 END WHERE owner_id = :owner"
)


class QuotaUsage(Model):
    """What a user holds: items, the bytes of their texts, and keys of requests."""

    __tablename__ = "itemsapi_quota_usage"

    owner_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("itemsapi_user.id", ondelete="CASCADE"), primary_key=True
    )
    items: Mapped[int] = mapped_column(BigInteger)
    bytes: Mapped[int] = mapped_column(BigInteger)
    keys: Mapped[int] = mapped_column(BigInteger)


def subtract_usage(
    tx: Session, owner: str, *, size: int = 0, items: int = 0, keys: int = 0
) -> None:
    """Count so much less as held."""
    tx.execute(_GIVE_BACK, {"owner": owner, "items": items, "bytes": size, "keys": keys})


def subtract_keys(tx: Session, keys: Mapping[str, int]) -> None:
    """Count so many fewer keys of each user, by id."""
    for owner in sorted(keys):  # one order: two who do this never wait for one another
        subtract_usage(tx, owner, keys=keys[owner])
