"""The Items API: items, their search index, and roles for them.

`itemsapi.items.tokenizer` splits the text of an item into words; SQLite's `ascii` tokenizer keeps
them unchanged. Prefixes of 1 and 2 characters are indexed, because Japanese is searched by those.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
ID = sa.String(36)
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ROLES = {  # with their descriptions and scopes
    "member": ("Keeps own items", ["items:read", "items:write"]),
    "reader": ("Sees own items", ["items:read"]),
}
SORTS = ("created_at", "updated_at", "name", "price", "quantity")


def upgrade() -> None:
    """Create the tables."""
    _items(postgresql=op.get_bind().dialect.name == "postgresql")
    _add_roles()


def downgrade() -> None:
    """Drop the tables with all items. The roles stay, because users may have them."""
    op.execute("DELETE FROM itemsapi_role_scope WHERE scope LIKE 'items:%'")
    op.execute("DROP TABLE itemsapi_item_text")
    op.drop_table("itemsapi_item")


def _items(*, postgresql: bool) -> None:
    op.create_table(
        "itemsapi_item",
        sa.Column("number", NUMBER, primary_key=True),
        sa.Column("id", ID, nullable=False, unique=True),
        sa.Column(
            "owner_id", ID, sa.ForeignKey("itemsapi_user.id", ondelete="RESTRICT"), nullable=False
        ),
        sa.Column("name", sa.String(200, collation="C" if postgresql else None), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("sku", sa.String(64)),
        sa.Column("price", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.UniqueConstraint("sku", "owner_id", name="uq_itemsapi_item_sku"),
        sa.CheckConstraint("price >= 0", name="ck_itemsapi_item_price"),
        sa.CheckConstraint("quantity BETWEEN 0 AND 2147483647", name="ck_itemsapi_item_quantity"),
        sqlite_autoincrement=True,
    )
    for sort in SORTS:
        op.create_index(
            f"ix_itemsapi_item_owner_id_{sort}_id", "itemsapi_item", ["owner_id", sort, "id"]
        )
        op.create_index(f"ix_itemsapi_item_{sort}_id", "itemsapi_item", [sort, "id"])
    _search_index(postgresql=postgresql)


def _search_index(*, postgresql: bool) -> None:
    if not postgresql:
        op.execute(
            "CREATE VIRTUAL TABLE itemsapi_item_text USING fts5("
            """words, tokenize="ascii tokenchars '@#$'","""
            " prefix='1 2', detail=none, columnsize=0)"
        )
        return
    op.execute(
        "CREATE TABLE itemsapi_item_text ("
        "number bigint CONSTRAINT pk_itemsapi_item_text PRIMARY KEY"
        " CONSTRAINT fk_itemsapi_item_text_number_itemsapi_item"
        " REFERENCES itemsapi_item ON DELETE CASCADE,"
        " words tsvector NOT NULL)"
    )
    op.execute("CREATE INDEX ix_itemsapi_item_text_words ON itemsapi_item_text USING gin (words)")


def _add_roles() -> None:
    """Add the roles, except those of the same name that exist already."""
    role = sa.table(
        "itemsapi_role",
        sa.column("name", sa.String),
        sa.column("description", sa.Text),
        sa.column("everything", sa.Boolean),
    )
    scope = sa.table(
        "itemsapi_role_scope", sa.column("role", sa.String), sa.column("scope", sa.String)
    )
    existing = set(op.get_bind().scalars(sa.select(role.c.name)))
    for name in ROLES.keys() - existing:
        description, scopes = ROLES[name]
        row = {"name": name, "description": description, "everything": False}
        op.bulk_insert(role, [row])
        op.bulk_insert(scope, [{"role": name, "scope": one} for one in scopes])
