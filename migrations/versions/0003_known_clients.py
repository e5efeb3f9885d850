"""Clients that got into an account before, whom strangers' guessing does not lock out.

Revision: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "known_client",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_known_client"),
    )
    op.create_index("ix_known_client_seen_at", "known_client", ["seen_at"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("known_client")
