"""User columns: the columns of a mapped class that `SqlUsers` reads, checked at the start.

A column of a wrong kind would be found at somebody's sign-in otherwise, or let the wrong user in.
"""

import uuid
from collections.abc import Iterator
from typing import Any, cast

from sqlalchemy import (
    Column,
    Dialect,
    Integer,
    Table,
    TypeDecorator,
    UniqueConstraint,
    Update,
    bindparam,
    inspect,
    update,
)
from sqlalchemy.ext.hybrid import HybridExtensionType
from sqlalchemy.orm import InstrumentedAttribute, Mapper

MIN_HASH_LENGTH = 100  # characters of an Argon2id hash
MAX_INTEGER = 2**63 - 1
ID_TYPES = (str, uuid.UUID, int)

UserColumn = InstrumentedAttribute[Any]


def mapper_of(model: type[Any]) -> Mapper[Any]:
    """Return the mapper of a class. Raise `TypeError` if it has none."""
    mapper = inspect(model, raiseerr=False)
    if isinstance(mapper, Mapper):
        return mapper
    raise TypeError(f"SqlUsers: {model!r} is not a mapped class")


def id_column(mapper: Mapper[Any], name: str) -> UserColumn:
    """Return the attribute of the ids. Raise `ValueError` unless it alone is the primary key."""
    attribute, full_name = _column(mapper, name), _full_name(mapper, name)
    if list(mapper.primary_key) != [
        column for column in mapper.column_attrs[name].columns if column in mapper.primary_key
    ]:
        keys = ", ".join(column.name for column in mapper.primary_key)
        raise ValueError(
            f"SqlUsers: the primary key is ({keys}), not {full_name};"
            " it must be one column, because its text is the id in tokens"
        )
    if not _is_opaque(attribute.type) and _python_type(attribute) not in ID_TYPES:
        raise ValueError(f"SqlUsers: {full_name} is neither an integer, a string nor a UUID")
    return attribute


def id_value(attribute: UserColumn, user_id: str, dialect: Dialect) -> object:
    """Return an id as the type of its column; None unless it is written in the usual way."""
    column_type = attribute.type
    if isinstance(column_type, TypeDecorator) and _is_opaque(column_type):
        return _accepted_value(column_type, user_id, dialect)
    return _parse(user_id, column_type.python_type)


def _accepted_value(column_type: TypeDecorator[Any], user_id: str, dialect: Dialect) -> object:
    """Return an id in the first form that a type of the application accepts, None if there is none.

    Such a type need not say what it takes; SQLAlchemy's recipe of a GUID does not.
    """
    is_uuid = _python_type_of(column_type.load_dialect_impl(dialect)) is uuid.UUID
    forms = [_parse(user_id, form) for form in ((uuid.UUID,) if is_uuid else ID_TYPES)]
    process = column_type.bind_processor(dialect) or str
    for value in (form for form in forms if form is not None):
        try:
            process(value)
        except Exception as error:
            if not is_rejection(error, value):
                raise
        else:
            return value
    return None


def is_rejection(error: BaseException | None, value: object) -> bool:
    """Return whether an exception in the type of a column means that it takes no such value.

    Any other is a fault of the application's code, as when a service is away that it asks.
    """
    if isinstance(error, AttributeError):  # as of `value.hex` for a text
        return error.obj is value
    return isinstance(error, ValueError | TypeError)


def _parse(user_id: str, form: type[Any]) -> object:
    """Return an id as a value of a type; None unless it is written in the usual way."""
    try:
        value: object = form(user_id)
    except ValueError:
        return None
    is_too_large = isinstance(value, int) and abs(value) > MAX_INTEGER
    return value if str(value) == user_id and not is_too_large else None


def username_column(mapper: Mapper[Any], name: str) -> UserColumn:
    """Return the attribute of the names. Raise `ValueError` unless it is a unique string.

    Whoever could take the name of another user would lock that user out. An SQL expression is
    accepted: the mapper does not know whether it is unique.
    """
    attribute = text_column(mapper, name)
    columns = [
        column
        for column in mapper.column_attrs[name].columns
        if isinstance(column, Column) and isinstance(column.table, Table)
    ]
    if columns and not any(map(_is_unique, columns)):
        raise ValueError(
            f"SqlUsers: {_full_name(mapper, name)} is not unique, and two users with one name could"
            " not sign in; write unique=True there"
        )
    return attribute


def text_column(mapper: Mapper[Any], name: str) -> UserColumn:
    """Return the attribute of a column. Raise `ValueError` unless it is a string."""
    attribute = _column(mapper, name)
    if _python_type(attribute) is not str:
        raise ValueError(f"SqlUsers: {_full_name(mapper, name)} is not a string")
    return attribute


def enabled_column(mapper: Mapper[Any], name: str) -> UserColumn:
    """Return an attribute that is true or false, a hybrid property perhaps. Raise `ValueError`.

    A text, such as 'disabled', would be true. An integer is accepted: 0 and 1 stand for a boolean
    in tables that other programs made.
    """
    descriptor = mapper.all_orm_descriptors.get(name)
    is_hybrid = descriptor and descriptor.extension_type is HybridExtensionType.HYBRID_PROPERTY
    attribute = getattr(mapper.class_, name) if is_hybrid else _column(mapper, name)
    if _python_type(attribute) not in {bool, int}:
        raise ValueError(
            f"SqlUsers: {_full_name(mapper, name)} is not a boolean; name a hybrid_property that"
            " returns one, such as `self.status == 'active'`"
        )
    return cast("UserColumn", attribute)


def replace_hash_statement(mapper: Mapper[Any], id_name: str, hash_name: str) -> Update:
    """Return the statement that replaces a hash. Raise `ValueError` if there is no room for one."""
    name = _full_name(mapper, hash_name)
    column = mapper.column_attrs[hash_name].columns[0]
    if not isinstance(column, Column):
        raise ValueError(  # noqa: TRY004 - the type is SQLAlchemy's; the name is wrong
            f"SqlUsers: {name} is not a column of a table; name one, or set read_only=True"
        )
    length = getattr(column.type, "length", None)
    if length is not None and length < MIN_HASH_LENGTH:
        raise ValueError(
            f"SqlUsers: {name} has room for {length} characters, and new hashes have up to"
            f" {MIN_HASH_LENGTH}; widen the column, or set read_only=True"
        )
    keys = [one for one in mapper.column_attrs[id_name].columns if one.table is column.table]
    return (
        update(column.table)
        .where(keys[0] == bindparam("_id"), column == bindparam("_old"))
        .values({column: bindparam("_new")})
    )


def default_name(mapper: Mapper[Any]) -> str:
    """Return whose users these are: the table that has the ids, with its schema if it is given.

    For one of the classes that share these ids, which are told apart by a discriminator, its value
    follows: `person/employee`.
    """
    table = str(getattr(mapper.primary_key[0].table, "fullname", mapper.class_.__name__))
    is_part = mapper.inherits is not None and not mapper.concrete
    return f"{table}/{_discriminator(mapper)}" if is_part else table


def _discriminator(mapper: Mapper[Any]) -> object:
    identity = mapper.polymorphic_identity
    return mapper.class_.__name__ if identity is None else identity


def sqlite_reuses_ids(mapper: Mapper[Any]) -> bool:
    """Return whether SQLite may give the id of a deleted row to a new one."""
    table = mapper.primary_key[0].table
    if not isinstance(table, Table) or not isinstance(mapper.primary_key[0].type, Integer):
        return False
    return not table.dialect_options["sqlite"]["autoincrement"]


def _column(mapper: Mapper[Any], name: str) -> UserColumn:
    """Return the attribute of a column. Raise `ValueError`."""
    if name not in mapper.column_attrs:
        known = ", ".join(sorted(mapper.column_attrs.keys()))
        class_name = mapper.class_.__name__
        raise ValueError(f"SqlUsers: {class_name} has no column {name!r}; it has {known}")
    return cast("UserColumn", getattr(mapper.class_, name))


def _full_name(mapper: Mapper[Any], name: str) -> str:
    return f"{mapper.class_.__name__}.{name}"


def _python_type(attribute: object) -> type[Any]:
    """Return the Python type of a column or expression; `object` if it has none.

    A type of the application that says nothing is taken for the one that it is made of.
    """
    column_type = getattr(attribute, "type", None)  # a hybrid property may return any value
    if isinstance(column_type, TypeDecorator) and _is_opaque(column_type):
        column_type = column_type.impl_instance
    return _python_type_of(column_type)


def _python_type_of(column_type: object) -> type[Any]:
    try:
        return cast("type[Any]", column_type.python_type)  # type: ignore[attr-defined]
    except (AttributeError, NotImplementedError):
        return object


def _is_opaque(column_type: object) -> bool:
    """Return whether a type is one of the application that does not say what its values are."""
    return isinstance(column_type, TypeDecorator) and _python_type_of(column_type) is object


def _is_unique(column: Column[Any]) -> bool:
    """Return whether no two rows have the same value, as far as the mapped table tells."""
    return any(keys == [column] for keys in _unique_keys(column.table))


def _unique_keys(table: Table) -> Iterator[list[Column[Any]]]:
    """Yield the columns of each unique key; an index on `lower(name)` is one of `name` too."""
    yield list(table.primary_key.columns)
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield list(constraint.columns)
    for index in table.indexes:
        if index.unique:
            yield list(index.columns)
