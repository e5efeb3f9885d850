"""Passwords that were made for somebody, and must be changed within some days.

Revision: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; the passwords that are there stay as they are."""
    op.add_column("account", sa.Column("password_expires_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("account", "password_expires_at")
