"""What a user holds, counted as it changes, and whose the keys of requests are.

Revision: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, and count what is there."""
    op.create_table(
        "holding",
        sa.Column("owner_id", sa.String(36), nullable=False),
        sa.Column("items", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("keys", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", name="pk_holding"),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["account.id"], name="fk_holding_owner_id_account", ondelete="CASCADE"
        ),
    )
    postgresql = op.get_bind().dialect.name == "postgresql"
    length = "octet_length({})" if postgresql else "length(CAST({} AS BLOB))"
    size = " + ".join(
        length.format(f"coalesce({column}, '')")
        for column in ("name", "description", "sku", "tags")
    )
    op.execute(
        "INSERT INTO holding (owner_id, items, bytes, keys)"  # noqa: S608 - all words are ours
        f" SELECT owner_id, count(*), sum({size}), 0 FROM item GROUP BY owner_id"
    )
    op.add_column("claim", sa.Column("owner_id", sa.String(36)))
    op.create_index("ix_claim_owner_id_claimed_at", "claim", ["owner_id", "claimed_at"])


def downgrade() -> None:
    """Drop it."""
    op.drop_index("ix_claim_owner_id_claimed_at", "claim")
    op.drop_column("claim", "owner_id")
    op.drop_table("holding")
