"""The authentication layer: users, roles, sessions, keys, revocations, limits, audit trail.

And the idempotency keys, which every endpoint may use, with what each user stores.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
ID = sa.String(36)
USER_ID = sa.String(128)  # of any application; no foreign key, the users may be anywhere
HASH = sa.String(64)
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TABLES = (  # referencing tables first
    "itemsapi_quota_usage",
    "itemsapi_idempotency_key",
    "itemsapi_audit_event",
    "itemsapi_known_client",
    "itemsapi_pending_attempt",
    "itemsapi_attempt",
    "itemsapi_revocation",
    "itemsapi_signing_key",
    "itemsapi_api_key",
    "itemsapi_session",
    "itemsapi_user_role",
    "itemsapi_role_scope",
    "itemsapi_role",
    "itemsapi_user",
    "itemsapi_user_state",
)


def upgrade() -> None:
    """Create the tables and the initial roles, but no user (S-043)."""
    _users()
    _roles()
    _sessions()
    _api_keys()
    _keys_and_revocations()
    _limits()
    _audit()
    _idempotency_keys()
    _quota_usage()


def downgrade() -> None:
    """Drop the tables with all data."""
    for table in TABLES:
        op.drop_table(table)


def _users() -> None:
    op.create_table(
        "itemsapi_user",
        sa.Column("id", ID, primary_key=True),
        sa.Column("username", sa.String(64), nullable=False, unique=True),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("password_expires_at", TIME),
        sa.Column("disabled_at", TIME),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_table(
        "itemsapi_user_state",
        sa.Column("user_id", USER_ID, primary_key=True),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("password_digests", sa.String(528)),
    )


def _roles() -> None:
    op.create_table(
        "itemsapi_role",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("everything", sa.Boolean, nullable=False),
    )
    op.create_table(
        "itemsapi_role_scope",
        sa.Column("role", sa.String(40), _foreign_key("itemsapi_role.name"), primary_key=True),
        sa.Column("scope", sa.String(90), primary_key=True),
    )
    op.create_table(
        "itemsapi_user_role",
        sa.Column("user_id", ID, _foreign_key("itemsapi_user.id"), primary_key=True),
        sa.Column(
            "role",
            sa.String(40),
            _foreign_key("itemsapi_role.name", ondelete="RESTRICT"),
            primary_key=True,
            index=True,
        ),
    )
    _add_admin_role()


def _add_admin_role() -> None:
    role = sa.table(
        "itemsapi_role",
        sa.column("name", sa.String),
        sa.column("description", sa.Text),
        sa.column("everything", sa.Boolean),
    )
    op.bulk_insert(
        role, [{"name": "admin", "description": "May do everything", "everything": True}]
    )


def _sessions() -> None:
    op.create_table(
        "itemsapi_session",
        sa.Column("id", ID, primary_key=True),
        sa.Column("user_id", USER_ID, nullable=False),
        sa.Column("gen", sa.BigInteger, nullable=False),
        sa.Column("root_gen", sa.BigInteger, nullable=False),
        sa.Column("renewed_gen", sa.BigInteger, nullable=False),
        sa.Column("seen", sa.Boolean, nullable=False),
        sa.Column("checkpoint_gen", sa.BigInteger, nullable=False),
        sa.Column("checkpoint_at", TIME, nullable=False),
        sa.Column("settled_gen", sa.BigInteger, nullable=False),
        sa.Column("attempt", HASH),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("delivery", sa.String(10), nullable=False),
        sa.Column("scope", sa.Text),
        sa.Column("amr", sa.String(60), nullable=False),
        sa.Column("auth_time", sa.BigInteger, nullable=False),
        sa.Column("device", sa.String(120), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("rotated_at", TIME, nullable=False),
        sa.Column("used_before", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False, index=True),
        sa.Column("ended_at", TIME),
        sa.Column("ended_because", sa.String(40)),
        sa.Index(None, "user_id", "ended_at"),
    )


def _api_keys() -> None:
    op.create_table(
        "itemsapi_api_key",
        sa.Column("id", ID, primary_key=True),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("hash", HASH, nullable=False, unique=True),
        sa.Column("shown", sa.String(16), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False, index=True),
        sa.Column("last_used_at", TIME),
        sa.Column("revoked_at", TIME),
        sa.Index(None, "user_id", "created_at"),
    )


def _keys_and_revocations() -> None:
    op.create_table(
        "itemsapi_signing_key",
        sa.Column("kid", sa.String(64), primary_key=True),
        sa.Column("alg", sa.String(10), nullable=False),
        sa.Column("state", sa.String(10), nullable=False, index=True),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
    )
    op.create_table(
        "itemsapi_revocation",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("target", sa.String(140), nullable=False, index=True),
        sa.Column("sessions", sa.Boolean, nullable=False),
        sa.Column("made_at", TIME, nullable=False, index=True),
    )


def _limits() -> None:
    op.create_table(
        "itemsapi_attempt",
        sa.Column("key", HASH, primary_key=True),
        sa.Column("started_at", TIME, nullable=False, index=True),
        sa.Column("failures", sa.Integer, nullable=False),
    )
    op.create_table(
        "itemsapi_pending_attempt",
        sa.Column("key", HASH, primary_key=True),
        sa.Column("id", ID, primary_key=True, index=True),
        sa.Column("expires_at", TIME, nullable=False),
    )
    op.create_table(
        "itemsapi_known_client",
        sa.Column("key", HASH, primary_key=True),
        sa.Column("seen_at", TIME, nullable=False, index=True),
    )


def _audit() -> None:
    op.create_table(
        "itemsapi_audit_event",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("at", TIME, nullable=False, index=True),
        sa.Column("event", sa.String(60), nullable=False, index=True),
        sa.Column("caller_id", USER_ID),
        sa.Column("user_id", USER_ID, index=True),
        sa.Column("session_id", ID),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("details", sa.Text, nullable=False),
    )


def _idempotency_keys() -> None:
    op.create_table(
        "itemsapi_idempotency_key",
        sa.Column("key", HASH, primary_key=True),
        sa.Column("request_hash", HASH, nullable=False),
        sa.Column("resource_id", sa.String(128), nullable=False),
        sa.Column("created_at", TIME, nullable=False, index=True),
        sa.Column("owner_id", USER_ID, nullable=False),
        sa.Index(None, "owner_id", "created_at"),
    )


def _quota_usage() -> None:
    op.create_table(
        "itemsapi_quota_usage",
        sa.Column("owner_id", USER_ID, primary_key=True),
        sa.Column("items", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("keys", sa.BigInteger, nullable=False),
    )


def _foreign_key(column: str, *, ondelete: str = "CASCADE") -> sa.ForeignKey:
    return sa.ForeignKey(column, ondelete=ondelete)
