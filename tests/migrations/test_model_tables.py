"""The tables of the models are those of the database, in what the comparison by Alembic omits."""

from sqlalchemy import UniqueConstraint, inspect

from itemsapi import db
from itemsapi.accounts.models import Role, User
from itemsapi.accounts.user_state import StoredUserState
from support.app_factory import Backend


def test_the_primary_keys_of_the_models_are_those_of_the_database(backend: Backend) -> None:
    """In order: `primary_key` of each `mapped_column` is one of the migrations."""
    inspector = inspect(backend.services.database.engine)
    tables = db.Model.metadata.sorted_tables
    assert {table.name: [column.name for column in table.primary_key] for table in tables} == {
        table.name: inspector.get_pk_constraint(table.name)["constrained_columns"]
        for table in tables
    }


def test_the_foreign_keys_of_the_models_are_those_of_the_database(backend: Backend) -> None:
    """With what the end of a row does to those that refer to it (`ondelete`)."""
    inspector = inspect(backend.services.database.engine)
    declared = {
        (table.name, key.parent.name, key.target_fullname, key.ondelete)
        for table in db.Model.metadata.sorted_tables
        for key in table.foreign_keys
    }
    assert declared == {
        (
            table.name,
            key["constrained_columns"][0],
            f"{key['referred_table']}.{key['referred_columns'][0]}",
            key["options"].get("ondelete"),
        )
        for table in db.Model.metadata.sorted_tables
        for key in inspector.get_foreign_keys(table.name)
    }


def test_the_unique_columns_of_the_models_are_those_of_the_database(backend: Backend) -> None:
    """Such as the `username`: `unique` in its `mapped_column` is no check without the database."""
    inspector = inspect(backend.services.database.engine)
    tables = db.Model.metadata.sorted_tables
    assert {
        (table.name, *constraint.columns.keys())
        for table in tables
        for constraint in table.constraints
        if isinstance(constraint, UniqueConstraint)
    } == {
        (table.name, *constraint["column_names"])
        for table in tables
        for constraint in inspector.get_unique_constraints(table.name)
    }


def test_a_new_user_has_the_first_version(backend: Backend) -> None:
    """The `default` of each `mapped_column`."""
    user_id, now = backend.create_user("ada"), backend.clock()
    with backend.services.database.transaction() as tx:
        user = tx.get_one(User, user_id)
        assert (user.version, user.created_at) == (1, now)
        assert (user.disabled_at, user.password_expires_at) == (None, None)


def test_a_user_has_no_epoch_before_the_first_revocation(backend: Backend) -> None:
    """The `default` of `mapped_column`: an `epoch` above 0 would revoke tokens (S-183)."""
    with backend.services.database.transaction() as tx:
        tx.add(StoredUserState(user_id="7"))
        tx.flush()
        row = tx.get_one(StoredUserState, "7")
        assert (row.epoch, row.password_digests) == (0, None)


def test_a_new_role_has_no_permissions(backend: Backend) -> None:
    """The `default` of `everything` is not `everything` (S-082)."""
    with backend.services.database.transaction() as tx:
        tx.add(Role(name="helpdesk"))
        tx.flush()
        role = tx.get_one(Role, "helpdesk")
        assert (role.description, role.everything) == ("", False)
