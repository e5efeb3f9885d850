"""Hidden rows: whether an id is in use, although the application does not show its user now.

A filter of a session, such as one for the tenant of a request, hides users who are not deleted.
What they have may be revoked for good only if their id is free.
"""

from typing import Any

from sqlalchemy import Connection, Table, Update, literal, select, text, update
from sqlalchemy.orm import Mapper

_HAS_POLICY = text("SELECT row_security_active(to_regclass(:table))")


def any_change(mapper: Mapper[Any]) -> Update | None:
    """Return a change of the mapped table, by which a session tells where it sends changes.

    None for a class that is mapped to a query.
    """
    table = mapper.primary_key[0].table
    return update(table) if isinstance(table, Table) else None


def may_have_row(connection: Connection, mapper: Mapper[Any], key: object) -> bool:
    """Return whether a row of the mapped table has this primary key; filters do not count.

    On PostgreSQL it is true also while policies of the table choose the rows of the role.
    """
    column = mapper.primary_key[0]
    query = select(literal(1)).select_from(column.table).where(column == key)
    if connection.execute(query).first() is not None:
        return True
    return connection.dialect.name == "postgresql" and _has_policy(connection, column.table)


def _has_policy(connection: Connection, table: object) -> bool:
    if not isinstance(table, Table):
        return False
    name = connection.dialect.identifier_preparer.format_table(table)
    return bool(connection.scalar(_HAS_POLICY, {"table": name}))
