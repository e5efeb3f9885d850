"""For the Alembic environment of an application that shares its database with the layer.

    from itemsapi.alembic import include_name

    context.configure(..., include_name=include_name)

Alembic compares all tables of the database with the models of the application. Without this filter
`alembic revision --autogenerate` would drop the tables of the layer, which no model of the
application names.
"""

from collections.abc import Mapping

from itemsapi.db.ownership import TABLES

__all__ = ["include_name"]


def include_name(name: str | None, kind: str, parent_names: Mapping[str, str | None]) -> bool:
    """Return whether Alembic may compare an object of the database: all but the layer's tables.

    The arguments are those of Alembic's option `include_name`. The tables of the Items API, the
    search index of SQLite and our version tables count as the layer's. To combine it with a filter
    of your own, write `include_name(name, kind, parents) and my_filter(name, kind, parents)`.
    """
    del parent_names
    return kind != "table" or name not in TABLES
