"""Columns that `SqlUsers` refuses at the start, and values that it does not trust."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import (
    Dialect,
    Index,
    String,
    TypeDecorator,
    UniqueConstraint,
    create_engine,
    event,
    func,
)
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    ORMExecuteState,
    Session,
    mapped_column,
    sessionmaker,
    with_loader_criteria,
)

from itemsapi import SqlUsers, UserAccount
from support.log_records import LogRecords

pytestmark = pytest.mark.dialect("sqlite")


class Base(DeclarativeBase):
    """The base class of the models here."""


class Employee(Base):
    """A user of an older table: a status, a number for a boolean, names that are not unique."""

    __tablename__ = "employee"
    __table_args__ = (UniqueConstraint("badge"), UniqueConstraint("tenant", "login"))

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[int] = mapped_column(default=1)
    username: Mapped[str] = mapped_column(String(80), unique=True)
    nickname: Mapped[str | None] = mapped_column(String(80), index=True)
    login: Mapped[str | None] = mapped_column(String(80))
    badge: Mapped[str | None] = mapped_column(String(80))
    phone: Mapped[str | None] = mapped_column(String(80))
    password_hash: Mapped[str | None] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(String(20), default="active")
    flag: Mapped[int | None]
    deleted: Mapped[bool] = mapped_column(default=False)

    @hybrid_property
    def is_active(self) -> bool:
        """Whether the status is that of a user who may sign in."""
        return self.status == "active"

    @hybrid_property
    def is_listed(self) -> bool:
        """Compare in Python only, which SQL cannot do."""
        return self.status in {"active", "away"}

    @property
    def is_plain(self) -> bool:
        """A property that is no column."""
        return True


Index("unique_phone", func.lower(Employee.phone), unique=True)


@pytest.fixture
def session() -> Iterator[Session]:
    """A session on a database in memory."""
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        yield session
    engine.dispose()


def add(session: Session, **columns: Any) -> None:
    """Store the user grace."""
    session.add(Employee(id=7, username="grace", **columns))
    session.commit()


@pytest.mark.parametrize("name", ["nickname", "login"])
def test_a_name_that_is_not_unique_is_refused(session: Session, name: str) -> None:
    """S-122: whoever took the name of another would lock them out."""
    message = f"^SqlUsers: Employee.{name} is not unique, .*write unique=True there$"
    with pytest.raises(ValueError, match=message):
        SqlUsers(session, Employee, username=name)


@pytest.mark.parametrize("name", ["username", "badge", "phone"])
def test_a_name_is_accepted_when_the_mapper_knows_that_it_is_unique(
    session: Session, name: str
) -> None:
    """By the column, a constraint, or an index on an expression of it."""
    assert SqlUsers(session, Employee, username=name).find_by_name("grace") is None


@pytest.mark.parametrize("name", ["status", "is_listed"])
def test_what_is_no_boolean_is_refused_as_enabled(session: Session, name: str) -> None:
    """The text 'disabled' would be true."""
    message = f"^SqlUsers: Employee.{name} is not a boolean; name a hybrid_property"
    with pytest.raises(ValueError, match=message):
        SqlUsers(session, Employee, enabled=name)


def test_a_property_that_is_no_column_is_refused_as_enabled(session: Session) -> None:
    """The query could not read it."""
    with pytest.raises(ValueError, match="has no column 'is_plain'"):
        SqlUsers(session, Employee, enabled="is_plain")


@pytest.mark.parametrize(("status", "enabled"), [("active", True), ("disabled", False)])
def test_a_hybrid_property_says_who_is_enabled(
    session: Session,
    status: str,
    enabled: bool,
) -> None:
    """As a status is compared with a value."""
    add(session, status=status)
    found = SqlUsers(session, Employee, enabled="is_active").find_by_name("grace")
    assert found == UserAccount("7", "grace", None, enabled)


@pytest.mark.parametrize(("flag", "enabled"), [(1, True), (0, False), (None, False), (2, False)])
def test_a_number_is_true_only_if_it_is_one(
    session: Session,
    flag: int | None,
    enabled: bool,
) -> None:
    """Any other is unclear, and so nobody who may sign in."""
    add(session, flag=flag)
    found = SqlUsers(session, Employee, enabled="flag").find_by_id("7")
    assert found == UserAccount("7", "grace", None, enabled)


def test_the_log_names_the_column_when_a_number_is_unclear(
    session: Session, log_records: LogRecords
) -> None:
    """And not the user."""
    add(session, flag=-1)
    SqlUsers(session, Employee, enabled="flag").find_by_id("7")
    assert "Employee.flag" in "\n".join(log_records.lines())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scopes": ["a:b"]}, r"^SqlUsers: scopes= is \['a:b'\], no function; give one that"),
        ({"scopes": lambda: "a:b"}, r"^SqlUsers: scopes= <lambda>\(\) has to take a user"),
        ({"normalize": lambda *, name: name}, r"^SqlUsers: normalize= .* has to take the name"),
    ],
)
def test_a_function_that_cannot_be_called_is_refused(
    session: Session, options: dict[str, Any], message: str
) -> None:
    """At the start, not at the first sign-in."""
    with pytest.raises(TypeError, match=message):
        SqlUsers(session, Employee, **options)


def test_a_name_that_is_normalized_to_nothing_is_an_error(session: Session) -> None:
    """In one line that says what to return."""
    users = SqlUsers(session, Employee, normalize=lambda _: None)  # type: ignore[arg-type, return-value]
    with pytest.raises(TypeError, match="normalize= returned None; return the name as a string"):
        users.find_by_name("grace")


# A filter of the application.


def hide_deleted(state: ORMExecuteState) -> None:
    """Leave deleted users out of each query, as SQLAlchemy's documentation shows."""
    criteria = with_loader_criteria(Employee, Employee.deleted.is_(False))
    state.statement = state.statement.options(criteria)


@pytest.mark.parametrize("place", ["session", "sessionmaker"])
def test_a_user_whom_a_filter_of_the_session_hides_is_not_found(
    session: Session, place: str
) -> None:
    """S-067: whoever is deleted for the application cannot sign in."""
    add(session, deleted=True)
    maker = sessionmaker(session.bind)
    filtered = maker() if place == "sessionmaker" else session
    event.listen(maker if place == "sessionmaker" else session, "do_orm_execute", hide_deleted)
    users = SqlUsers(filtered, Employee, scopes=lambda _: ["a:b"])
    found = (users.find_by_name("grace"), users.find_by_id("7"), users.scopes("7"))
    assert found == (None, None, ())


class TenantSession(Session):
    """A session of the application, for the users of one tenant."""

    def __init__(self, bind: Any, tenant: int) -> None:
        """Use an engine."""
        super().__init__(bind, info={"tenant": tenant})
        self.tenant = tenant


def by_info(session: Session) -> object:
    """Return the tenant in `info`, as handlers of `Session` ask for it."""
    return session.info.get("tenant")


def by_attribute(session: Session) -> object:
    """Return the tenant of a session of the application's class, None for another."""
    return session.tenant if isinstance(session, TenantSession) else None


@pytest.mark.parametrize("tenant_of", [by_info, by_attribute])
@pytest.mark.parametrize("joined", [False, True])
def test_a_filter_that_asks_its_session_hides_the_users_of_other_tenants(
    session: Session, tenant_of: Callable[[Session], object], joined: bool
) -> None:
    """S-067: it would filter nothing, and let everybody in, with a session that says nothing."""
    add(session, tenant=2)
    mine = TenantSession(session.bind, tenant=1)

    def hide_others(state: ORMExecuteState) -> None:
        if tenant := tenant_of(state.session):
            criteria = with_loader_criteria(Employee, Employee.tenant == tenant)
            state.statement = state.statement.options(criteria)

    event.listen(mine, "do_orm_execute", hide_others)
    users = SqlUsers(mine, Employee)
    found = (
        users.find_in_transaction("7", session.connection()) if joined else users.find_by_id("7")
    )
    assert found is None


@pytest.mark.parametrize("place", ["session", "sessionmaker", "class"])
@pytest.mark.parametrize("name", ["after_begin", "after_transaction_create", "after_rollback"])
def test_other_handlers_of_the_session_are_not_called(
    session: Session, place: str, name: str
) -> None:
    """They may write, and our session is for look-ups."""
    maker: sessionmaker[Session] = sessionmaker(session.bind, class_=type("Own", (Session,), {}))
    mine, calls = maker(), []
    target = {"session": mine, "sessionmaker": maker, "class": type(mine).__mro__[1]}[place]
    event.listen(target, name, lambda *_: calls.append("called"))
    SqlUsers(mine, Employee).find_by_id("7")
    assert calls == []


class Counted(Base):
    """A user whose id SQLite gives to nobody else."""

    __tablename__ = "counted"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(80), unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(255))


@pytest.mark.parametrize(("model", "is_reused"), [(Employee, True), (Counted, False)])
def test_an_id_is_used_again_unless_sqlite_counts(
    session: Session, model: type[Any], is_reused: bool
) -> None:
    """S-122: `itemsapi check` warns of it."""
    assert SqlUsers(session, model).reuses_ids() is is_reused


class Sealed(TypeDecorator[str]):
    """A text that a service of the application seals; it takes letters only."""

    impl = String
    cache_ok = True
    fault: Exception | None = None

    def process_bind_param(self, value: str | None, _: Dialect) -> str | None:
        """Return the sealed text."""
        if Sealed.fault is not None:
            raise Sealed.fault
        if value is not None and not value.isalpha():
            raise ValueError
        return value


class Visitor(Base):
    """A user with sealed texts."""

    __tablename__ = "visitor"

    id: Mapped[str] = mapped_column(Sealed, primary_key=True)
    username: Mapped[str] = mapped_column(Sealed, unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(255))


@pytest.mark.parametrize("find", [SqlUsers.find_by_id, SqlUsers.find_by_name])
def test_nobody_has_what_the_type_of_the_column_rejects(
    session: Session, find: Callable[[SqlUsers, str], object]
) -> None:
    """It is no error of the application."""
    assert find(SqlUsers(session, Visitor), "7") is None


@pytest.mark.parametrize("fault", [ConnectionError("away"), AttributeError("no key", obj=Sealed)])
@pytest.mark.parametrize("find", [SqlUsers.find_by_id, SqlUsers.find_by_name])
def test_a_fault_of_a_column_type_is_an_error(
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
    find: Callable[[SqlUsers, str], object],
    fault: Exception,
) -> None:
    """S-122: a missing user is gone for good, and this one is not missing."""
    monkeypatch.setattr(Sealed, "fault", fault)
    with pytest.raises((type(fault), StatementError)):
        find(SqlUsers(session, Visitor), "grace")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"id": True}, "id is of the type bool; pass a string, an integer or a UUID"),
        ({"id": None}, "id is of the type NoneType"),
        ({"username": None}, "username is of the type NoneType"),
        ({"password_hash": b"x"}, "password_hash is of the type bytes"),
        ({"enabled": "disabled"}, "enabled is of the type str; pass True or False"),
        ({"password_expires_at": 7}, "password_expires_at is of the type int"),
        (
            {"password_expires_at": datetime.now(UTC).replace(tzinfo=None)},
            "password_expires_at has no time zone",
        ),
    ],
)
def test_an_account_with_a_value_of_another_type_is_refused(
    fields: dict[str, Any], message: str
) -> None:
    """Such as a status, which would be true."""
    with pytest.raises(TypeError, match=f"^UserAccount: {message}"):
        UserAccount(**{"id": "7", "username": "grace", "password_hash": None} | fields)
