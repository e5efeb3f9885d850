"""Items and the words they are found by.

The words of an item are made by `itemsapi.items.tokenizer`; SQLite's `ascii` tokenizer takes them as
they are, and 1- and 2-character prefixes have indexes because Japanese is searched by those.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SORTS = ("created_at", "updated_at", "name", "price", "quantity")


def upgrade() -> None:
    """Make the table of items and its text index."""
    postgresql = op.get_bind().dialect.name == "postgresql"
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "item",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("owner_id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(200, collation="C" if postgresql else None), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("sku", sa.String(64)),
        sa.Column("price", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("updated_at", moment, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_item"),
        sa.UniqueConstraint("id", name="uq_item_id"),
        sa.UniqueConstraint("sku", "owner_id", name="uq_item_sku"),
        sa.CheckConstraint("price >= 0", name="ck_item_price"),
        sa.CheckConstraint("quantity BETWEEN 0 AND 2147483647", name="ck_item_quantity"),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["account.id"], name="fk_item_owner_id_account", ondelete="RESTRICT"
        ),
        sqlite_autoincrement=True,
    )
    for sort in SORTS:
        op.create_index(f"ix_item_owner_id_{sort}_id", "item", ["owner_id", sort, "id"])
        op.create_index(f"ix_item_{sort}_id", "item", [sort, "id"])
    _make_text_index(postgresql=postgresql)


def downgrade() -> None:
    """Drop both, with all items."""
    op.execute("DROP TABLE item_text")
    op.drop_table("item")


def _make_text_index(*, postgresql: bool) -> None:
    if not postgresql:
        op.execute(
            "CREATE VIRTUAL TABLE item_text USING fts5("
            """words, tokenize="ascii tokenchars '@#$'","""
            " prefix='1 2', detail=none, columnsize=0)"
        )
        return
    op.execute(
        "CREATE TABLE item_text (number bigint CONSTRAINT pk_item_text PRIMARY KEY"
        " CONSTRAINT fk_item_text_number_item REFERENCES item ON DELETE CASCADE,"
        " words tsvector NOT NULL)"
    )
    op.execute("CREATE INDEX ix_item_text_words ON item_text USING gin (words)")
