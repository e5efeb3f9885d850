"""Columns of users with types of the application, which need not say what they take."""

# ruff: noqa: ARG002 - SQLAlchemy names the parameters

import uuid
from operator import attrgetter
from typing import Any

import pytest
from sqlalchemy import CHAR, UUID, Dialect, LargeBinary, String, TypeDecorator, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeEngine

from support.host_app import Host, MakeHost

ID = "00000000-0000-0000-0000-000000000abc"
UNKNOWN = ["", "x", ID, ID.upper(), "7", "a\0"]


class Guid(TypeDecorator[uuid.UUID]):
    """The recipe of SQLAlchemy's documentation ("Backend-agnostic GUID Type")."""

    impl = CHAR
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type of the database, or a text of 32 digits."""
        return dialect.type_descriptor(UUID() if dialect.name == "postgresql" else CHAR(32))

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Take a UUID or its text."""
        if value is None or dialect.name == "postgresql":
            return value
        return attrgetter("hex")(value if isinstance(value, uuid.UUID) else uuid.UUID(value))

    def process_result_value(self, value: Any, dialect: Dialect) -> uuid.UUID | None:
        """Return a UUID."""
        return value if value is None or isinstance(value, uuid.UUID) else uuid.UUID(value)


class Binary(TypeDecorator[uuid.UUID]):
    """A UUID as its sixteen bytes, which takes nothing else."""

    impl = LargeBinary(16)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> bytes:
        """Return the bytes of a UUID."""
        data: bytes = value.bytes
        return data

    def process_result_value(self, value: Any, dialect: Dialect) -> uuid.UUID:
        """Return a UUID."""
        return uuid.UUID(bytes=value)


class Address(TypeDecorator[str]):
    """A mail address, in lower case; any other text is an error."""

    impl = String(120)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        """Return the address. Raise `ValueError`."""
        if "@" not in value:
            raise ValueError("not an address")
        return str(value.lower())


class Base(DeclarativeBase):
    """The base class of the models here."""


class GuidUser(Base):
    """A user with a GUID, who signs in with an address."""

    __tablename__ = "guid_user"

    id: Mapped[uuid.UUID] = mapped_column(Guid, primary_key=True, default=uuid.uuid4)
    username: Mapped[str] = mapped_column(Address, unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(255))
    active: Mapped[bool | None] = mapped_column(default=True)
    scopes: Mapped[str] = mapped_column(String(200), default="")


class OtherBase(DeclarativeBase):
    """The base class of the other model."""


class BinaryUser(OtherBase):
    """A user with a GUID in binary form."""

    __tablename__ = "binary_user"

    id: Mapped[uuid.UUID] = mapped_column(Binary, primary_key=True, default=uuid.uuid4)
    username: Mapped[str] = mapped_column(Address, unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(255))
    active: Mapped[bool | None] = mapped_column(default=True)
    scopes: Mapped[str] = mapped_column(String(200), default="")


class TextBase(DeclarativeBase):
    """The base class of one more model."""


class TextUuidUser(TextBase):
    """A user with a UUID that Python has as a text, so that the database alone rejects others."""

    __tablename__ = "text_uuid_user"

    id: Mapped[str] = mapped_column(UUID(as_uuid=False), primary_key=True)
    username: Mapped[str] = mapped_column(String(80), unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(255))
    active: Mapped[bool | None] = mapped_column(default=True)
    scopes: Mapped[str] = mapped_column(String(200), default="")


@pytest.fixture(params=[GuidUser, BinaryUser])
def typed(request: pytest.FixtureRequest, make_host: MakeHost) -> Host:
    """An application whose users have ids and names of such types."""
    return make_host(request.param)


def test_a_user_signs_in_with_an_id_and_a_name_of_a_type_of_the_application(typed: Host) -> None:
    """From the sign-in to the refresh; the hash is replaced, too."""
    user_id = typed.create_user("Grace@example.com")
    tokens = typed.login("grace@EXAMPLE.com")
    assert typed.client(tokens).get("/orders").get_data(as_text=True) == str(user_id)
    assert typed.refresh(tokens).status_code == 200
    assert typed.stored_hash(user_id).startswith("$argon2id$")


def test_a_name_that_its_type_rejects_is_unknown(typed: Host) -> None:
    """The response to a wrong password, and no error of the server (S-184)."""
    typed.create_user("grace@example.com")
    assert typed.try_login("nobody").status_code == 401


@pytest.mark.parametrize("user_id", UNKNOWN)
def test_an_id_that_its_type_rejects_is_unknown(typed: Host, user_id: str) -> None:
    """In a token, or in a call of `users_changed`."""
    typed.create_user("grace@example.com")
    assert typed.services.issuer.users.find_by_id(user_id) is None


def test_a_transaction_goes_on_when_its_user_is_unknown(typed: Host) -> None:
    """On PostgreSQL an error would end the transaction of the application."""
    with typed.app.app_context(), typed.session() as session:
        typed.auth.users_changed("no GUID", connection=session)
        assert session.get(typed.model, uuid.UUID(int=7)) is None


@pytest.mark.postgres
@pytest.mark.dialect("postgresql")
@pytest.mark.parametrize("user_id", ["not-a-uuid", ID.upper(), ID])
def test_a_transaction_is_committed_when_the_database_rejects_the_id(
    make_host: MakeHost, user_id: str
) -> None:
    """An id that is nobody's does not end the transaction of the application."""
    host = make_host(TextUuidUser)
    host.create_user(id=str(uuid.UUID(int=7)))
    with host.app.app_context(), host.session() as session:
        session.execute(update(TextUuidUser).values(active=False))
        host.auth.users_changed(user_id, connection=session)
        session.commit()
    with host.engine.connect() as connection:
        assert connection.scalar(select(TextUuidUser.active)) is False
