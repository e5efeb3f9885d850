"""`SqlUsers`: the users of an application that maps them with SQLAlchemy.

    auth = AuthLayer(app, users=SqlUsers(db.session, User, username="email"))

It works with declarative models of SQLAlchemy 2.0 and of Flask-SQLAlchemy. Each query runs in a
connection of its own on the engine of the given session: so it neither commits nor rolls back what
the application has pending there, and does not see it either. Handlers of `do_orm_execute` of that
session are called, as for its own queries, with a session of the same class that has its `info`: a
filter that hides deleted users, or those of another tenant, hides them here, too.

There are two exceptions, both common in tests. If the engine has one connection only, as for an
SQLite database in memory, a connection of its own would be the application's: while a transaction
is open there, queries run in it, and no password hash is replaced. If the session is bound to a
connection, queries run on that one, and a hash is replaced in a savepoint.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, cast

from sqlalchemy import Connection, Engine, Update, literal, select
from sqlalchemy.exc import DataError, IntegrityError, StatementError
from sqlalchemy.orm import Session, scoped_session
from sqlalchemy.pool import SingletonThreadPool, StaticPool

from itemsapi.accounts.hidden_rows import any_change, may_have_row
from itemsapi.accounts.host_writes import writing
from itemsapi.accounts.look_up_session import in_savepoint, look_up_session
from itemsapi.accounts.user_columns import (
    UserColumn,
    default_name,
    enabled_column,
    id_column,
    id_value,
    is_rejection,
    mapper_of,
    replace_hash_statement,
    sqlite_reuses_ids,
    text_column,
    username_column,
)
from itemsapi.accounts.users import UserAccount
from itemsapi.callbacks import require_one_argument
from itemsapi.db import AnyRow
from itemsapi.db.engine import translate_errors
from itemsapi.db.identity import is_same_table
from itemsapi.observability.logging import log, summarize_error
from itemsapi.problems import DatabaseUnavailable

SAMPLED_HASHES = 1000  # at each end of the table
_UNSTORABLE = re.compile(r"[\0\ud800-\udfff]")  # NUL, half of a pair: errors of the drivers


class SessionLike(Protocol):
    """A `Session`, or a `scoped_session` such as `db.session` of Flask-SQLAlchemy."""

    def get_bind(
        self,
        mapper: Any = None,  # noqa: ANN401
        /,
        *,
        clause: Any = None,  # noqa: ANN401
    ) -> Engine | Connection:
        """Return the engine or connection of a mapped class, for a statement if it is given."""

    def in_transaction(self) -> bool:
        """Return whether a transaction is open."""

    def connection(self) -> Connection:
        """Return the connection of the open transaction."""


class SqlUsers:
    """Users in a table of the application.

    `session` is a session, a scoped session, or a callable that returns one (a `sessionmaker`);
    only its engine or connection is used, and its handlers. `model` is the mapped class, and the
    next names are attributes of it: `username` may be any unique text, such as the address;
    `enabled` a boolean, if there is one, or a hybrid property (a null counts as disabled); `id` the
    primary key, an integer, text or UUID that is never given to another user.

    Names are compared by the database as they are, so with case or without as its collation says;
    `normalize` is applied to what the client sends, such as `str.lower` if the names are stored in
    lower case. `scopes` is called with a user, in a session of its own, and returns their scopes by
    name or as `Scope` objects, or a string of names with spaces between. With `read_only` no
    password hash is ever replaced: for a table whose hashes other programs verify, too. `name` says
    whose users these are, by default with the name of the table: see `itemsapi.Users`.
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
        scopes: Callable[[Any], Iterable[object]] | None = None,
        normalize: Callable[[str], str] = str,
        read_only: bool = False,
        name: str | None = None,
    ) -> None:
        """Raise `TypeError` or `ValueError` if these are not suitable columns of a mapped class."""
        mapper = mapper_of(model)
        _require_functions(scopes, normalize)
        self.read_only, self.name = read_only, name or default_name(mapper)
        self._session, self._mapper, self._scopes = session, mapper, scopes
        self._normalize = normalize
        self._id = id_column(mapper, id)
        self._username = username_column(mapper, username)
        self._password_hash = text_column(mapper, password_hash)
        self._columns = [self._id, self._username, self._password_hash]
        if enabled is not None:
            self._columns.append(enabled_column(mapper, enabled))
        self._any_change = any_change(mapper)  # a session may send it to another engine than reads
        self._replace = None if read_only else replace_hash_statement(mapper, id, password_hash)

    def find_by_name(self, username: str) -> UserAccount | None:
        """Return the user with this name; None also if several users have it."""
        name = self._normalize(username)
        if not isinstance(name, str):
            raise TypeError(f"SqlUsers: normalize= returned {name!r}; return the name as a string")
        if _UNSTORABLE.search(name):
            return None
        rows = self._find(self._username, name, self._reading())
        if len(rows) > 1:
            column = f"{self._mapper.class_.__name__}.{self._username.key}"
            log.error("users_with_the_same_name", column=column, hint="none of them can sign in")
            return None
        return self._account(rows[0]) if rows else None

    def find_by_id(self, user_id: str) -> UserAccount | None:
        """Return the user with this id; None for a string that is no id of this table."""
        return self._find_id(user_id, self._reading())

    def find_in_transaction(self, user_id: str, connection: Connection) -> UserAccount | None:
        """Return the user with this id as the application's open transaction has them.

        A transaction on another database than that of the users does not know them; they are as
        committed then.
        """
        if not self._is_same_database(connection):
            return self.find_by_id(user_id)
        return self._find_id(user_id, self._reading(connection))

    def is_hidden(self, user_id: str, connection: Connection | None = None) -> bool:
        """Return whether a row has this id, although a filter of the application may hide it.

        It is read where hashes are written: a follower may not have the row yet, or not any more.
        With `connection`, as the application's open transaction has it.
        """
        key = self._key(user_id)
        if key is None:
            return False
        if connection is None or not self._is_same_database(connection):
            connection = None
        try:
            with self._reading(connection, clause=self._any_change) as tx:
                return may_have_row(tx.connection(), self._mapper, key)
        except StatementError:
            if self._is_rejected(self._id, key):
                return False
            raise

    def _is_same_database(self, connection: Connection) -> bool:
        """Return whether a connection of the application finds the table of the users."""
        if connection.engine.pool is self._bind()[1].engine.pool:
            return True
        with self._reading() as tx:
            return is_same_table(self._mapper.primary_key[0].table, connection, tx.connection())

    def _find_id(
        self, user_id: str, reading: AbstractContextManager[Session]
    ) -> UserAccount | None:
        key = self._key(user_id)
        rows = [] if key is None else self._find(self._id, key, reading)
        return self._account(rows[0]) if rows else None

    def _find(
        self, column: UserColumn, value: object, reading: AbstractContextManager[Session]
    ) -> Sequence[AnyRow]:
        """Return two rows at most; none if the type of the column rejects the value."""
        try:
            with reading as tx:
                return tx.execute(select(*self._columns).where(column == value).limit(2)).all()
        except StatementError:
            if self._is_rejected(column, value):
                return []
            raise

    def _is_rejected(self, column: UserColumn, value: object) -> bool:
        """Return whether the type of a column rejects a value, in the driver or the database.

        Another error says nothing of the user, who must not count as missing: an expression of the
        application fails in a row, or the service is away that its type asks.
        """
        probe = select(literal(1)).where(literal(value, column.type).is_not(None))
        try:
            with self._reading() as tx:
                tx.execute(probe)
        except StatementError as error:
            return isinstance(error, DataError) or is_rejection(error.orig, value)
        return False

    def scopes(self, user_id: str) -> Iterable[object]:
        """Return what the function `scopes` returns for the user; no scopes without it."""
        if self._scopes is None:
            return ()
        with self._reading() as tx:
            user = tx.scalars(
                select(self._mapper.class_).where(self._id == self._key(user_id))
            ).first()
            return () if user is None else _materialized(self._scopes(user))

    def replace_password_hash(self, user_id: str, old: str, new: str) -> bool:
        """Store the hash `new` if the stored one is still `old`. Return whether it was.

        Raise `DatabaseUnavailable` if the table cannot be written now.
        """
        return self._replace_hash(user_id, old, new, waits=True)

    def renew_password_hash(self, user_id: str, old: str, new: str) -> bool:
        """Replace a hash, but raise `DatabaseUnavailable` at once if somebody has a lock."""
        return self._replace_hash(user_id, old, new, waits=False)

    def _replace_hash(self, user_id: str, old: str, new: str, *, waits: bool) -> bool:
        if self._replace is None:
            return False
        values = {"_id": self._key(user_id), "_old": old, "_new": new}
        try:
            with self._writing(waits=waits) as connection:
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

    def reuses_ids(self) -> bool:
        """Return whether the database gives the id of a deleted user to another one, by itself."""
        return self._bind()[1].dialect.name == "sqlite" and sqlite_reuses_ids(self._mapper)

    def _account(self, row: AnyRow) -> UserAccount:
        user_id, username, password_hash, *enabled = row
        is_enabled = all(map(self._is_true, enabled))
        return UserAccount(str(user_id), str(username), password_hash or None, is_enabled)

    def _is_true(self, enabled: object) -> bool:
        """Return whether a stored value is true; any other than a boolean, 0 or 1 is an error."""
        if isinstance(enabled, int) and enabled in {0, 1}:
            return bool(enabled)
        if enabled is not None:
            column = f"{self._mapper.class_.__name__}.{self._columns[-1].key}"
            log.error("user_enabled_unclear", column=column, hint="store true or false")
        return False

    def _key(self, user_id: str) -> object:
        """Return an id as the type of its column; None unless it is written in the usual way."""
        return id_value(self._id, user_id, self._bind()[1].dialect)

    @contextmanager
    def _reading(
        self, joined: Connection | None = None, *, clause: Update | None = None
    ) -> Iterator[Session]:
        """Yield a session of our own for look-ups; nothing that happens in it is stored.

        With `joined`, it reads in that transaction of the application. With `clause`, it reads
        where that would be executed.
        """
        session, bind = self._bind(clause)
        connection = joined
        if joined is None and _has_one_connection(bind) and _in_transaction(session):
            connection = session.connection()
        with (
            _translate_errors(),
            in_savepoint(joined),
            look_up_session(_unscoped(session), connection or bind) as tx,
        ):
            yield tx

    @contextmanager
    def _writing(self, *, waits: bool) -> Iterator[Connection]:
        """Yield a connection in a transaction of its own, which waits for a lock or does not.

        Raise `DatabaseUnavailable`.
        """
        session, bind = self._bind(self._replace)  # reads may have another
        if _has_one_connection(bind) and _in_transaction(session):
            raise DatabaseUnavailable(
                cause="users: the only connection has a transaction of the application open"
            )
        with _translate_errors():
            if isinstance(bind, Engine):
                with writing(bind, waits=waits) as connection:
                    yield connection
            else:
                with bind.begin_nested() if bind.in_transaction() else bind.begin():
                    yield bind

    def _bind(self, clause: Update | None = None) -> tuple[SessionLike, Engine | Connection]:
        """Return the application's session, and the engine or connection of the table."""
        given = self._session
        has_bind = hasattr(given, "get_bind")  # a scoped session is callable, too
        session = cast("SessionLike", given if has_bind else cast("Callable[[], Any]", given)())
        return session, session.get_bind(self._mapper, clause=clause)


def _translate_errors() -> AbstractContextManager[None]:
    advice = "create the tables of the application"
    return translate_errors("users", if_table_is_missing=advice)


def _in_transaction(session: SessionLike) -> bool:
    """Return whether a session has begun; a scoped session does not tell, its session does."""
    return _unscoped(session).in_transaction()


def _unscoped(session: SessionLike) -> SessionLike:
    return session() if isinstance(session, scoped_session) else session


def _materialized(scopes: object) -> Any:  # noqa: ANN401 - the layer checks what it is
    """Return scopes as a tuple, as long as the session is open that a generator may use."""
    is_lazy = isinstance(scopes, Iterable) and not isinstance(scopes, str | Mapping)
    return tuple(scopes) if is_lazy else scopes  # type: ignore[arg-type]


def _require_functions(scopes: object, normalize: object) -> None:
    """Raise `TypeError` unless the functions can be called with one argument."""
    if scopes is not None:
        require_one_argument(
            scopes, "SqlUsers: scopes=", "a user, as in `lambda user: user.scopes`"
        )
    require_one_argument(normalize, "SqlUsers: normalize=", "the name, as `str.lower` does")


def _has_one_connection(bind: Engine | Connection) -> bool:
    return isinstance(bind, Engine) and isinstance(bind.pool, SingletonThreadPool | StaticPool)
