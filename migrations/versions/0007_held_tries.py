"""Tries under way, which count while they are held and end by themselves.

Revision: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "held_try",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", "id", name="pk_held_try"),
    )
    op.create_index("ix_held_try_id", "held_try", ["id"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("held_try")
