"""Users, roles, sessions, keys, revocations, tries and the audit trail."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
ID = sa.String(36)
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables, and the roles that a new service starts with; no user (S-043)."""
    op.create_table(
        "account",
        sa.Column("id", ID, primary_key=True),
        sa.Column("username", sa.String(64), nullable=False, unique=True),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("disabled_at", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    _roles()
    op.create_table(
        "auth_session",
        sa.Column("id", ID, primary_key=True),
        sa.Column(
            "account_id", ID, sa.ForeignKey("account.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("gen", sa.BigInteger, nullable=False),
        sa.Column("root_gen", sa.BigInteger, nullable=False),
        sa.Column("renewed_gen", sa.BigInteger, nullable=False),
        sa.Column("seen", sa.Boolean, nullable=False),
        sa.Column("checkpoint_gen", sa.BigInteger, nullable=False),
        sa.Column("checkpoint_at", MOMENT, nullable=False),
        sa.Column("settled_gen", sa.BigInteger, nullable=False),
        sa.Column("attempt", sa.String(64)),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("delivery", sa.String(10), nullable=False),
        sa.Column("scope", sa.Text),
        sa.Column("amr", sa.String(60), nullable=False),
        sa.Column("auth_time", sa.BigInteger, nullable=False),
        sa.Column("device", sa.String(120), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("rotated_at", MOMENT, nullable=False),
        sa.Column("used_before", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False, index=True),
        sa.Column("ended_at", MOMENT),
        sa.Column("ended_because", sa.String(40)),
    )
    op.create_index(
        "ix_auth_session_account_id_ended_at", "auth_session", ["account_id", "ended_at"]
    )
    _bookkeeping()


def _roles() -> None:
    op.create_table(
        "role",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("everything", sa.Boolean, nullable=False),
    )
    op.create_table(
        "role_scope",
        sa.Column(
            "role", sa.String(40), sa.ForeignKey("role.name", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("scope", sa.String(90), primary_key=True),
    )
    op.create_table(
        "account_role",
        sa.Column(
            "account_id", ID, sa.ForeignKey("account.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column(
            "role",
            sa.String(40),
            sa.ForeignKey("role.name", ondelete="RESTRICT"),
            primary_key=True,
            index=True,
        ),
    )
    _seed_roles()


def _seed_roles() -> None:
    role = sa.table(
        "role",
        sa.column("name", sa.String),
        sa.column("description", sa.Text),
        sa.column("everything", sa.Boolean),
    )
    scope = sa.table("role_scope", sa.column("role", sa.String), sa.column("scope", sa.String))
    op.bulk_insert(
        role,
        [
            {"name": "admin", "description": "May do everything", "everything": True},
            {"name": "member", "description": "Keeps own items", "everything": False},
            {"name": "reader", "description": "Sees own items", "everything": False},
        ],
    )
    op.bulk_insert(
        scope,
        [
            {"role": "member", "scope": "items:read"},
            {"role": "member", "scope": "items:write"},
            {"role": "reader", "scope": "items:read"},
        ],
    )


def _bookkeeping() -> None:
    op.create_table(
        "signing_key",
        sa.Column("kid", sa.String(64), primary_key=True),
        sa.Column("alg", sa.String(10), nullable=False),
        sa.Column("state", sa.String(10), nullable=False, index=True),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
    )
    op.create_table(
        "revocation",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("target", sa.String(64), nullable=False, index=True),
        sa.Column("sessions", sa.Boolean, nullable=False),
        sa.Column("made_at", MOMENT, nullable=False, index=True),
    )
    op.create_table(
        "attempt",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("began_at", MOMENT, nullable=False, index=True),
        sa.Column("tries", sa.Integer, nullable=False),
    )
    op.create_table(
        "audit_event",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("at", MOMENT, nullable=False, index=True),
        sa.Column("event", sa.String(60), nullable=False, index=True),
        sa.Column("actor_id", ID),
        sa.Column("user_id", ID, index=True),
        sa.Column("session_id", ID),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("details", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drop everything, children first."""
    for table in (
        "audit_event",
        "attempt",
        "revocation",
        "signing_key",
        "auth_session",
        "account_role",
        "role_scope",
        "role",
        "account",
    ):
        op.drop_table(table)
