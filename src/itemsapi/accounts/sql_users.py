"""`SqlUsers`: the users of an application that maps them with SQLAlchemy.

    auth = AuthLayer(app, users=SqlUsers(db.session, User, username="email"))

It works with declarative models of SQLAlchemy 2.0 and of Flask-SQLAlchemy. Each query runs in a
connection of its own on the engine of the given session: so it neither commits nor rolls back what
the application has pending there, and does not see it either.

There are two exceptions, both common in tests. If the engine has one connection only, as for an
SQLite database in memory, a connection of its own would be the application's: while a transaction
is open there, queries run in it, and no password hash is replaced. If the session is bound to a
connection, queries run on that one, and a hash is replaced in a savepoint.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, cast

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Select,
    Update,
    bindparam,
    inspect,
    select,
    update,
)
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    StatementError,
)
from sqlalchemy.orm import InstrumentedAttribute, Mapper, Session, scoped_session
from sqlalchemy.pool import SingletonThreadPool, StaticPool

from itemsapi.accounts.users import UserAccount
from itemsapi.db import AnyRow
from itemsapi.db.engine import translate_errors
from itemsapi.observability.logging import log, summarize_error
from itemsapi.problems import DatabaseUnavailable

SAMPLED_HASHES = 1000  # at each end of the table
MAX_INTEGER = 2**63 - 1
MIN_HASH_LENGTH = 100  # characters of an Argon2id hash
ID_TYPES = (int, str, uuid.UUID)


class SessionLike(Protocol):
    """A `Session`, or a `scoped_session` such as `db.session` of Flask-SQLAlchemy."""

    def get_bind(self, mapper: Any = None, /) -> Engine | Connection:  # noqa: ANN401
        """Return the engine or connection of a mapped class."""

    def in_transaction(self) -> bool:
        """Return whether a transaction is open."""

    def connection(self) -> Connection:
        """Return the connection of the open transaction."""


class SqlUsers:
    """Users in a table of the application.

    `session` is a session, a scoped session, or a callable that returns one (a `sessionmaker`);
    only its engine or connection is used. `model` is the mapped class, and the next names are
    attributes of it: `username` may be any unique text, such as the address; `enabled` a boolean,
    if there is one (a null counts as disabled); `id` the primary key, an integer, text or UUID that
    is never given to another user.

    Names are compared by the database as they are, so with case or without as its collation says;
    `normalize` is applied to what the client sends, such as `str.lower` if the names are stored in
    lower case. `scopes` is called with a user, in a session of its own, and returns their scopes,
    or a string of them with spaces between. With `read_only` no password hash is ever replaced: for
    a table whose hashes other programs verify, too.
    """

    def __init__(  # noqa: PLR0913 - the names of the application's columns
        self,
        session: SessionLike | Callable[[], SessionLike],
        model: type[Any],
        *,
        username: str = "username",
        password_hash: str = "password_hash",  # noqa: S107 - the name of an attribute
        enabled: str | None = None,
        id: str = "id",  # noqa: A002 - the usual name of the attribute
        scopes: Callable[[Any], Iterable[str]] | None = None,
        normalize: Callable[[str], str] = str,
        read_only: bool = False,
    ) -> None:
        """Raise `TypeError` or `ValueError` if these are not suitable columns of a mapped class."""
        mapper = _mapper(model)
        self.read_only = read_only
        self._session, self._mapper, self._scopes = session, mapper, scopes
        self._normalize = normalize
        self._id = _id_attribute(mapper, id)
        self._username = _text_attribute(mapper, username)
        self._password_hash = _text_attribute(mapper, password_hash)
        self._columns = [self._id, self._username, self._password_hash]
        if enabled is not None:
            self._columns.append(_attribute(mapper, enabled))
        self._replace = None if read_only else _replacement(mapper, id, password_hash)

    def find_by_name(self, username: str) -> UserAccount | None:
        """Return the user with this name; None also if several users have it."""
        name = self._normalize(username)
        if not name.isprintable():
            return None  # NUL or half of a surrogate pair would be an error in the database
        with self._reading() as tx:
            rows = tx.execute(self._select().where(self._username == name).limit(2)).all()
        if len(rows) > 1:
            column = f"{self._mapper.class_.__name__}.{self._username.key}"
            log.error("users_with_the_same_name", column=column, hint="none of them can sign in")
            return None
        return self._account(rows[0]) if rows else None

    def find_by_id(self, user_id: str) -> UserAccount | None:
        """Return the user with this id; None for a string that is no id of this table."""
        key = self._key(user_id)
        if key is None:
            return None
        try:
            with self._reading() as tx:
                row = tx.execute(self._select().where(self._id == key)).first()
        except StatementError as error:
            if isinstance(error, DBAPIError) and not isinstance(error, DataError):
                raise
            return None  # the type of the column rejects the value
        return self._account(row) if row else None

    def scopes(self, user_id: str) -> Iterable[str]:
        """Return what the function `scopes` returns for the user; no scopes without it."""
        if self._scopes is None:
            return ()
        with self._reading() as tx:
            user = tx.scalars(
                select(self._mapper.class_).where(self._id == self._key(user_id))
            ).first()
            scopes = () if user is None else self._scopes(user)
            return scopes if isinstance(scopes, str) else tuple(scopes)

    def replace_password_hash(self, user_id: str, old: str, new: str) -> bool:
        """Store the hash `new` if the stored one is still `old`. Return whether it was.

        Raise `DatabaseUnavailable` if the table cannot be written now.
        """
        if self._replace is None:
            return False
        values = {"_id": self._key(user_id), "_old": old, "_new": new}
        try:
            with self._writing() as connection:
                return connection.execute(self._replace, values).rowcount == 1
        except (IntegrityError, DataError) as error:
            raise DatabaseUnavailable(cause=f"users: {summarize_error(error)}") from error

    def sample_password_hashes(self) -> list[str]:
        """Return the hashes of the oldest and the newest users, by id."""
        hashes = select(self._password_hash).where(self._password_hash.is_not(None))
        with self._reading() as tx:
            return [
                str(stored)
                for order in (self._id, self._id.desc())
                for stored in tx.scalars(hashes.order_by(order).limit(SAMPLED_HASHES))
            ]

    def _select(self) -> Select[Any]:
        return select(*self._columns)

    @staticmethod
    def _account(row: AnyRow) -> UserAccount:
        user_id, username, password_hash, *enabled = row
        return UserAccount(str(user_id), str(username), password_hash or None, all(enabled))

    def _key(self, user_id: str) -> int | str | uuid.UUID | None:
        """Return an id as the type of its column; None unless it is written in the usual way."""
        try:
            key: int | str | uuid.UUID = self._id.type.python_type(user_id)
        except ValueError:
            return None
        is_too_large = isinstance(key, int) and abs(key) > MAX_INTEGER
        return key if str(key) == user_id and not is_too_large else None

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        """Yield a session of our own for look-ups; nothing that happens in it is stored."""
        session, bind = self._bind()
        shares_transaction = _has_one_connection(bind) and _in_transaction(session)
        connection = session.connection() if shares_transaction else bind
        with (
            _translate_errors(),
            Session(connection, autoflush=False, join_transaction_mode="rollback_only") as tx,
        ):
            yield tx

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Yield a connection in a transaction of its own. Raise `DatabaseUnavailable`."""
        session, bind = self._bind()
        if _has_one_connection(bind) and _in_transaction(session):
            raise DatabaseUnavailable(
                cause="users: the only connection has a transaction of the application open"
            )
        with _translate_errors():
            if isinstance(bind, Engine):
                with bind.begin() as connection:
                    yield connection
            else:
                with bind.begin_nested() if bind.in_transaction() else bind.begin():
                    yield bind

    def _bind(self) -> tuple[SessionLike, Engine | Connection]:
        """Return the application's session, and the engine or connection of the table."""
        given = self._session
        has_bind = hasattr(given, "get_bind")  # a scoped session is callable, too
        session = cast("SessionLike", given if has_bind else cast("Callable[[], Any]", given)())
        return session, session.get_bind(self._mapper)


def _translate_errors() -> AbstractContextManager[None]:
    advice = "create the tables of the application"
    return translate_errors("users", if_table_is_missing=advice)


def _in_transaction(session: SessionLike) -> bool:
    """Return whether a session has begun; a scoped session does not tell, its session does."""
    return (session() if isinstance(session, scoped_session) else session).in_transaction()


def _has_one_connection(bind: Engine | Connection) -> bool:
    return isinstance(bind, Engine) and isinstance(bind.pool, SingletonThreadPool | StaticPool)


def _replacement(mapper: Mapper[Any], id_name: str, hash_name: str) -> Update:
    """Return the statement that replaces a hash. Raise `ValueError` if there is no room for one."""
    name = f"{mapper.class_.__name__}.{hash_name}"
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


def _mapper(model: type[Any]) -> Mapper[Any]:
    mapper = inspect(model, raiseerr=False)
    if isinstance(mapper, Mapper):
        return mapper
    raise TypeError(f"SqlUsers: {model!r} is not a mapped class")


def _attribute(mapper: Mapper[Any], name: str) -> InstrumentedAttribute[Any]:
    """Return the attribute of a column. Raise `ValueError`."""
    if name not in mapper.column_attrs:
        known = ", ".join(sorted(mapper.column_attrs.keys()))
        class_name = mapper.class_.__name__
        raise ValueError(f"SqlUsers: {class_name} has no column {name!r}; it has {known}")
    return cast("InstrumentedAttribute[Any]", getattr(mapper.class_, name))


def _text_attribute(mapper: Mapper[Any], name: str) -> InstrumentedAttribute[Any]:
    attribute = _attribute(mapper, name)
    if _python_type(attribute) is not str:
        raise ValueError(f"SqlUsers: {mapper.class_.__name__}.{name} is not a string")
    return attribute


def _id_attribute(mapper: Mapper[Any], name: str) -> InstrumentedAttribute[Any]:
    """Return the attribute of the ids. Raise `ValueError` unless it alone is the primary key."""
    attribute, full_name = _attribute(mapper, name), f"{mapper.class_.__name__}.{name}"
    if list(mapper.primary_key) != [
        column for column in mapper.column_attrs[name].columns if column in mapper.primary_key
    ]:
        keys = ", ".join(column.name for column in mapper.primary_key)
        raise ValueError(
            f"SqlUsers: the primary key is ({keys}), not {full_name};"
            " it must be one column, because its text is the id in tokens"
        )
    if _python_type(attribute) not in ID_TYPES:
        raise ValueError(f"SqlUsers: {full_name} is neither an integer, a string nor a UUID")
    return attribute


def _python_type(attribute: InstrumentedAttribute[Any]) -> type[Any]:
    """Return the Python type of a column; `object` if it has none."""
    try:
        return cast("type[Any]", attribute.type.python_type)
    except NotImplementedError:
        return object
