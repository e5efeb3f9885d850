"""Columns that `SqlUsers` refuses at the start, and values that it does not trust."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import (
    Index,
    String,
    UniqueConstraint,
    create_engine,
    event,
    func,
)
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


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"id": 7}, r"id is of the type int; write str\(user.id\)"),
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
