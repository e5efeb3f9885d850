"""`SqlUsers`: mapped classes of all shapes; the session of the application stays untouched."""

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import (
    ColumnElement,
    Date,
    Engine,
    ForeignKey,
    LargeBinary,
    String,
    Update,
    create_engine,
    func,
    insert,
    select,
    type_coerce,
    update,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.exc import DataError
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    column_property,
    mapped_column,
    relationship,
    scoped_session,
    sessionmaker,
)
from sqlalchemy.pool import StaticPool

from itemsapi import SqlUsers, UserAccount
from itemsapi.problems import DatabaseUnavailable
from support.host_app import HostBase, HostUser

OLD, NEW = "old hash", "new hash"


class Base(DeclarativeBase):
    """The base class of the models here."""


class UuidUser(Base):
    """A user with a UUID."""

    __tablename__ = "uuid_user"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    username: Mapped[str] = mapped_column(String(80), unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(255))


class TextUser(Base):
    """A user with a text as the id, and grades in another table."""

    __tablename__ = "text_user"

    id: Mapped[str] = mapped_column(String(80), primary_key=True)
    username: Mapped[str] = mapped_column(String(80), unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(255))
    grades: Mapped[list["Grade"]] = relationship()


class Grade(Base):
    """A scope of a user."""

    __tablename__ = "grade"

    user_id: Mapped[str] = mapped_column(ForeignKey("text_user.id"), primary_key=True)
    scope: Mapped[str] = mapped_column(String(80), primary_key=True)


class Person(Base):
    """A person; users are some of them, with a password in a table of their own."""

    __tablename__ = "person"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    username: Mapped[str] = mapped_column(String(80), unique=True)


class Member(Person):
    """A person who may sign in."""

    __tablename__ = "member"
    __mapper_args__ = {"polymorphic_identity": "member"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
    password_hash: Mapped[str | None] = mapped_column(String(255))


class Guest(Person):
    """A person in the table of all persons."""

    __mapper_args__ = {"polymorphic_identity": "guest"}  # noqa: RUF012

    secret: Mapped[str | None] = mapped_column(String(255))


class NamedUser(Base):
    """A user whose name is made of two columns, so that nobody knows whether it is unique."""

    __tablename__ = "named_user"

    id: Mapped[int] = mapped_column(primary_key=True)
    first: Mapped[str] = mapped_column(String(80))
    last: Mapped[str] = mapped_column(String(80))
    username: Mapped[str] = column_property(type_coerce(first + last, String))
    password_hash: Mapped[str | None] = mapped_column(String(255))


class OddUser(Base):
    """A user whose key has two columns, and other columns that do not fit."""

    __tablename__ = "odd_user"

    tenant: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(80), unique=True)
    password_hash: Mapped[str] = mapped_column(String(60))
    digest: Mapped[bytes] = mapped_column(LargeBinary)


class TimeUser(Base):
    """A user with a number with a fraction as the id."""

    __tablename__ = "time_user"

    id: Mapped[float] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(80), unique=True)
    password_hash: Mapped[str] = mapped_column(String(60))


@pytest.fixture
def engine(host_url: str) -> Iterator[Engine]:
    """The engine of the application, with empty tables."""
    engine = create_engine(host_url)
    for metadata in (HostBase.metadata, Base.metadata):
        metadata.create_all(engine)
    yield engine
    for metadata in (Base.metadata, HostBase.metadata):
        metadata.drop_all(engine)
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """The session of the application."""
    with Session(engine) as session:
        yield session


def add(engine: Engine, *users: object) -> None:
    """Store users, with the hash `OLD`, as the application does."""
    with Session(engine) as session, session.begin():
        session.add_all(users)


def grace(**columns: Any) -> HostUser:
    """Return a new user."""
    return HostUser(**{"username": "grace", "password_hash": OLD} | columns)


def test_a_user_is_found_by_name_and_by_id(engine: Engine, session: Session) -> None:
    """The id is a text, whatever the column is."""
    add(engine, grace(id=7))
    users = SqlUsers(session, HostUser, enabled="active")
    expected = UserAccount("7", "grace", OLD, enabled=True)
    assert (users.find_by_name("grace"), users.find_by_id("7")) == (expected, expected)


@pytest.mark.parametrize(
    "user_id",
    [
        "",
        "8",
        "07",
        " 7",
        "7 ",
        "+7",
        "7.0",
        "\uff17",
        "seven",
        "7\0",
        "9" * 40,
        str(2**63),
        "-1",
        "x" * 128,
    ],
)
def test_no_user_is_found_by_an_id_of_another_shape(
    engine: Engine, session: Session, user_id: str
) -> None:
    """And it is no error of the database, either."""
    add(engine, grace(id=7))
    assert SqlUsers(session, HostUser).find_by_id(user_id) is None


def test_ids_may_be_uuids(engine: Engine, session: Session) -> None:
    """In their usual form alone."""
    key = uuid.UUID("01960a3b-9a10-7f02-8a55-6b1f0c9d2e10")
    add(engine, UuidUser(id=key, username="grace", password_hash=OLD))
    users = SqlUsers(session, UuidUser)
    found = [users.find_by_id(text) for text in (str(key), key.hex, str(key).upper(), "x", "")]
    assert found == [UserAccount(str(key), "grace", OLD), None, None, None, None]


def test_ids_may_be_texts(engine: Engine, session: Session) -> None:
    """With any letters."""
    add(engine, TextUser(id="Grace H\u00f6pper", username="grace"))
    users = SqlUsers(session, TextUser)
    assert users.find_by_id("Grace H\u00f6pper") == UserAccount("Grace H\u00f6pper", "grace", None)
    assert users.find_by_id("grace h\u00f6pper") is None


def test_scopes_are_those_of_the_stored_user(engine: Engine, session: Session) -> None:
    """The function may follow relationships of the model."""
    add(engine, TextUser(id="g", username="grace"), Grade(user_id="g", scope="a:b"))
    users = SqlUsers(session, TextUser, scopes=lambda user: [g.scope for g in user.grades])
    assert (users.scopes("g"), users.scopes("nobody")) == (("a:b",), ())


def test_there_are_no_scopes_without_a_function(session: Session) -> None:
    """Such an application asks for no more than a sign-in."""
    assert SqlUsers(session, HostUser).scopes("7") == ()


def test_a_change_by_the_function_for_scopes_is_not_stored(
    engine: Engine, session: Session
) -> None:
    """It works on an object of our own."""
    add(engine, grace(id=7))

    def rename(user: HostUser) -> str:
        user.username = "renamed"
        return "a:b c:d"

    assert SqlUsers(session, HostUser, scopes=rename).scopes("7") == "a:b c:d"
    assert session.get_one(HostUser, 7).username == "grace"


def test_a_joined_class_is_found_and_its_hash_replaced(engine: Engine, session: Session) -> None:
    """The columns are in two tables."""
    add(engine, Member(id=7, username="grace", password_hash=OLD), Guest(id=8, username="guest"))
    users = SqlUsers(session, Member)
    assert users.replace_password_hash("7", OLD, NEW)
    assert users.find_by_name("grace") == UserAccount("7", "grace", NEW)


def test_a_class_that_shares_its_table_does_not_find_others(
    engine: Engine, session: Session
) -> None:
    """A person who is no guest cannot sign in as one."""
    add(engine, Guest(id=8, username="guest"), Person(id=9, username="grace"))
    users = SqlUsers(session, Guest, password_hash="secret")
    assert users.find_by_name("guest") == UserAccount("8", "guest", None)
    assert (users.find_by_name("grace"), users.find_by_id("9")) == (None, None)


def test_nobody_is_found_when_two_users_have_the_name(engine: Engine, session: Session) -> None:
    """The column should be unique; guessing would be worse."""
    add(engine, *(NamedUser(id=key, first="gra", last="ce") for key in (1, 2)))
    assert SqlUsers(session, NamedUser).find_by_name("grace") is None


@pytest.mark.parametrize("name", ["", "Grace", "grace\0", "\ud800", "gr\nace", "%", "x" * 200])
def test_names_are_compared_exactly(engine: Engine, session: Session, name: str) -> None:
    """Without an error for what the database cannot compare."""
    add(engine, grace())
    assert SqlUsers(session, HostUser).find_by_name(name) is None


def test_a_hash_is_replaced_only_if_it_did_not_change(engine: Engine, session: Session) -> None:
    """Compare-and-set."""
    add(engine, grace(id=7))
    users = SqlUsers(session, HostUser)
    assert [users.replace_password_hash("7", OLD, NEW) for _ in range(2)] == [True, False]
    assert not users.replace_password_hash("nobody", NEW, OLD)


@pytest.fixture
def changed(engine: Engine, session: Session) -> Session:
    """A session of the application that changed a user, and commits later."""
    add(engine, grace(id=7))
    session.execute(update(HostUser).values(active=False))
    return session


def test_a_renewal_of_a_hash_does_not_wait_for_the_application(changed: Session) -> None:
    """A request of its own would wait for itself; the next sign-in tries again (S-047)."""
    started = time.monotonic()
    with pytest.raises(DatabaseUnavailable):
        SqlUsers(changed, HostUser).renew_password_hash("7", OLD, NEW)
    assert time.monotonic() - started < 3


@pytest.mark.postgres
@pytest.mark.dialect("postgresql")
def test_a_replacement_of_a_hash_does_not_wait_for_ever(
    changed: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL has no limit by default."""
    monkeypatch.setattr("itemsapi.accounts.host_writes.LOCK_TIMEOUT_SECONDS", 0.1)
    with pytest.raises(DatabaseUnavailable):
        SqlUsers(changed, HostUser).replace_password_hash("7", OLD, NEW)


def test_a_hash_is_renewed_when_nobody_writes(engine: Engine, session: Session) -> None:
    """By compare-and-set, too."""
    add(engine, grace(id=7))
    users = SqlUsers(session, HostUser)
    assert [users.renew_password_hash("7", OLD, NEW) for _ in range(2)] == [True, False]


@pytest.mark.dialect("sqlite")
def test_a_connection_waits_as_before_after_a_renewal(engine: Engine, session: Session) -> None:
    """It returns to the pool of the application."""
    add(engine, grace(id=7))
    SqlUsers(session, HostUser).renew_password_hash("7", OLD, NEW)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 5000


def test_no_hash_is_replaced_when_the_table_is_read_only(engine: Engine, session: Session) -> None:
    """Whatever is called."""
    add(engine, grace(id=7))
    users = SqlUsers(session, HostUser, read_only=True)
    assert (users.read_only, users.replace_password_hash("7", OLD, NEW)) == (True, False)


def test_samples_are_of_the_oldest_and_newest_users(engine: Engine, session: Session) -> None:
    """Users without a password have none."""
    add(engine, grace(id=7), grace(id=8, username="alan", password_hash=None))
    assert SqlUsers(session, HostUser).sample_password_hashes() == [OLD, OLD]


# The session of the application.


@pytest.mark.parametrize(
    "make_session",
    [Session, lambda engine: scoped_session(sessionmaker(engine)), sessionmaker],
    ids=["session", "scoped session", "callable"],
)
def test_every_kind_of_session_is_accepted(
    engine: Engine, make_session: Callable[[Engine], Any]
) -> None:
    """Only its engine is used."""
    add(engine, grace(id=7))
    users = SqlUsers(make_session(engine), HostUser)
    assert users.replace_password_hash("7", OLD, NEW)
    assert users.find_by_id("7") == UserAccount("7", "grace", NEW)


def test_pending_work_of_the_application_is_neither_stored_nor_lost(
    engine: Engine, session: Session
) -> None:
    """A view may share the session with what runs before it."""
    add(engine, grace(id=7))
    users = SqlUsers(session, HostUser)
    session.add(grace(id=8, username="pending"))
    users.find_by_name("grace")
    users.replace_password_hash("7", OLD, NEW)
    with Session(engine) as other:
        assert other.scalar(select(func.count()).select_from(HostUser)) == 1
    session.commit()
    assert users.find_by_id("8") is not None


def test_no_transaction_of_the_application_is_opened(engine: Engine, session: Session) -> None:
    """Nor is a connection kept."""
    add(engine, grace(id=7))
    users = SqlUsers(session, HostUser, scopes=lambda user: [user.username])
    (users.find_by_name("grace"), users.scopes("7"), users.replace_password_hash("7", OLD, NEW))
    assert not session.in_transaction()
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # of a QueuePool


def test_users_are_found_while_the_application_changes_them(
    engine: Engine, session: Session
) -> None:
    """As they were committed: its open transaction neither blocks nor is seen."""
    add(engine, grace(id=7))
    session.execute(update(HostUser).values(username="uncommitted"))
    found = SqlUsers(session, HostUser).find_by_id("7")
    session.rollback()
    assert found == UserAccount("7", "grace", OLD)


@pytest.fixture
def connection_users(engine: Engine) -> Iterator[tuple[SqlUsers, Session]]:
    """Users of a session that is bound to a connection with a transaction, as tests do."""
    with engine.connect() as connection, connection.begin() as outer:
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            yield SqlUsers(session, HostUser), session
        outer.rollback()


def test_a_session_on_a_connection_shares_its_transaction(
    connection_users: tuple[SqlUsers, Session], engine: Engine
) -> None:
    """What a test did is seen, and rolled back at its end."""
    users, session = connection_users
    session.execute(insert(HostUser).values(id=7, username="grace", password_hash=OLD, scopes=""))
    session.commit()
    assert users.replace_password_hash("7", OLD, NEW)
    assert users.find_by_id("7") == UserAccount("7", "grace", NEW)


@pytest.fixture
def memory() -> Iterator[Session]:
    """A session on a database in memory, whose engine has one connection."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    HostBase.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(grace(id=7))
        session.commit()
        yield session
    engine.dispose()


def test_a_database_in_memory_works(memory: Session) -> None:
    """There is one connection for all."""
    users = SqlUsers(memory, HostUser)
    assert users.replace_password_hash("7", OLD, NEW)
    assert users.find_by_id("7") == UserAccount("7", "grace", NEW)


def test_pending_work_in_memory_is_neither_stored_nor_lost(memory: Session) -> None:
    """Queries run in the open transaction; no hash is replaced in it."""
    users = SqlUsers(memory, HostUser)
    memory.execute(update(HostUser).values(username="pending"))
    assert users.find_by_name("pending") is not None
    with pytest.raises(DatabaseUnavailable):
        users.replace_password_hash("7", OLD, NEW)
    assert memory.in_transaction()
    memory.rollback()
    assert memory.get_one(HostUser, 7).username == "grace"


def test_the_error_is_a_503_when_the_table_is_missing() -> None:
    """The database of the application is broken, not the request."""
    engine = create_engine("sqlite://")
    with Session(engine) as session, pytest.raises(DatabaseUnavailable) as raised:
        SqlUsers(session, HostUser).find_by_name("grace")
    table = HostUser.__tablename__
    advice = "create the tables of the application"
    assert raised.value.cause == f"users: no such table: {table}; {advice}"
    engine.dispose()


# What is refused at the start.


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (HostUser, {"username": "name"}, "HostUser has no column 'name'; it has active, email"),
        (HostUser, {"enabled": "is_active"}, "HostUser has no column 'is_active'"),
        (HostUser, {"password_hash": "password"}, "HostUser has no column 'password'"),
        (HostUser, {"id": "email"}, r"the primary key is \(id\), not HostUser.email"),
        (HostUser, {"username": "id"}, "HostUser.id is not a string"),
        (TextUser, {"username": "grades"}, "TextUser has no column 'grades'"),
        (OddUser, {}, r"the primary key is \(tenant, id\), not OddUser.id; it must be one column"),
        (TimeUser, {}, "TimeUser.id is neither an integer, a string nor a UUID"),
    ],
)  # fmt: skip
def test_columns_that_do_not_fit_are_refused(
    session: Session, model: type[Any], options: dict[str, str], message: str
) -> None:
    """At the start, in one line that says what to write."""
    with pytest.raises(ValueError, match=f"^SqlUsers: (the|{model.__name__})") as error:
        SqlUsers(session, model, **options)  # type: ignore[arg-type]  # the names of columns
    error.match(message)


class ShortUser(Base):
    """A user whose hash has room for bcrypt only."""

    __tablename__ = "short_user"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(80), unique=True)
    password_hash: Mapped[str] = mapped_column(String(60))


def test_a_column_that_is_too_short_for_new_hashes_is_refused(session: Session) -> None:
    """Some databases would cut the hash off; others would fail at each sign-in."""
    with pytest.raises(ValueError, match=r"has room for 60 characters, .* or set read_only=True"):
        SqlUsers(session, ShortUser)
    assert SqlUsers(session, ShortUser, read_only=True).read_only


@pytest.mark.parametrize("model", [object, str, HostBase])
def test_a_class_that_is_not_mapped_is_refused(session: Session, model: type[Any]) -> None:
    """Such as the base class."""
    with pytest.raises(TypeError, match="is not a mapped class"):
        SqlUsers(session, model)


@pytest.mark.parametrize(
    ("model", "name"),
    [(Person, "person"), (Member, "person/member"), (Guest, "person/guest")],
)
def test_classes_that_share_their_ids_have_names_of_their_own(
    session: Session, model: type[Any], name: str
) -> None:
    """S-122: an id of one is nobody for the other, which would revoke the keys for good."""
    assert SqlUsers(session, model, password_hash="username", read_only=True).name == name


@pytest.mark.dialect("sqlite")
def test_a_hash_is_replaced_on_the_engine_for_writes(engine: Engine) -> None:
    """A session may send its reads to a follower."""
    add(engine, grace(id=7))
    follower = create_engine(f"sqlite:///file:{engine.url.database}?mode=ro&uri=true")

    class Routing(Session):
        def get_bind(self, _: Any = None, /, *, clause: Any = None, **__: Any) -> Engine:
            return engine if isinstance(clause, Update) else follower

    assert SqlUsers(Routing(), HostUser).replace_password_hash("7", OLD, NEW)
    follower.dispose()


class DatedUser(Base):
    """A user who is enabled until a date, written as a text."""

    __tablename__ = "dated_user"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(80), unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(255))
    until: Mapped[str] = mapped_column(String(20))

    @hybrid_property
    def is_active(self) -> bool:
        """Whether the date is not over."""
        return True

    @is_active.inplace.expression
    @classmethod
    def _is_active(cls) -> ColumnElement[bool]:
        return sql_cast(cls.until, Date) >= func.current_date()


@pytest.mark.postgres
@pytest.mark.dialect("postgresql")
def test_a_fault_of_an_expression_in_a_row_is_an_error(engine: Engine, session: Session) -> None:
    """S-122: the user is not missing, and loses nothing."""
    add(engine, DatedUser(id=7, username="grace", until="unlimited"))
    with pytest.raises(DataError):
        SqlUsers(session, DatedUser, enabled="is_active").find_by_id("7")
