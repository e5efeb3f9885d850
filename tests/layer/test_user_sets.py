"""Two sets of users: the database of the layer is for one of them."""

from typing import Any

import pytest
from sqlalchemy import String, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from itemsapi.tokens.sessions import AuthSession
from support.host_app import Host, HostUser, MakeHost
from support.log_records import LogRecords


class StaffBase(DeclarativeBase):
    """The base class of another application's tables."""


class Staff(StaffBase):
    """A user of another application, whose numbers begin with 1 too."""

    __tablename__ = "staff"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(80), unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(255))
    active: Mapped[bool | None] = mapped_column(default=True)
    scopes: Mapped[str] = mapped_column(String(200), default="")


class MovedBase(DeclarativeBase):
    """The base class of a model that was moved to another module, and renamed."""


class Moved(MovedBase):
    """The table of `HostUser`."""

    __tablename__ = "host_user"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(80), unique=True)
    email: Mapped[str | None] = mapped_column(String(120), unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(255))
    active: Mapped[bool | None] = mapped_column(default=True)
    scopes: Mapped[str] = mapped_column(String(200), default="")


@pytest.fixture
def office(make_host: MakeHost) -> Host:
    """An application whose user 1 has the id of `grace`, the first user of the shop."""
    office = make_host(Staff, include={"api_keys"})
    assert office.create_user("boss") == 1
    return office


@pytest.fixture
def shop(office: Host, make_host: MakeHost) -> Host:
    """An application on the same database, whose user 1 is the first to sign in."""
    shop = make_host(HostUser, include={"api_keys"})
    assert office is not shop
    assert shop.create_user() == 1
    return shop


def orders(host: Host, credential: str) -> int:
    """Call a view with a credential; return the status."""
    headers = {"Authorization": f"Bearer {credential}"}
    return host.app.test_client().get("/orders", headers=headers).status_code


def test_nobody_signs_in_when_the_database_is_for_other_users(
    office: Host, shop: Host, log_records: LogRecords
) -> None:
    """S-122: user 1 of one is not user 1 of the other; the log says what to do."""
    shop.login()
    assert office.try_login("boss").status_code == 503
    expected = "for the users of `host_user`, and these are of `staff`; give them a database"
    assert expected in "\n".join(log_records.lines())


def test_a_refused_application_opens_no_session(office: Host, shop: Host) -> None:
    """The first sign-in of one decides, although both were started before."""
    shop.login()
    office.try_login("boss")
    with shop.services.database.reading() as connection:
        assert len(connection.scalars(select(AuthSession.core().c.id)).all()) == 1


def test_tokens_and_keys_of_other_users_reach_nothing(office: Host, shop: Host) -> None:
    """S-122: both are checked by the gate of the other application, with the same secret key."""
    tokens = shop.login()
    body = {"name": "ci", "scopes": ["orders:read"]}
    key = shop.client(tokens).post("/me/api-keys", json=body).get_json()["key"]
    assert [orders(shop, each) for each in (tokens["access_token"], key)] == [200, 200]
    assert [orders(office, each) for each in (tokens["access_token"], key)] == [503, 503]


@pytest.mark.parametrize(
    ("model", "options"), [(HostUser, {}), (Moved, {}), (Staff, {"name": "host_user"})]
)
def test_an_application_with_the_same_users_goes_on(
    shop: Host, make_host: MakeHost, model: Any, options: Any
) -> None:
    """Another process, the class moved to another module, the table renamed."""
    shop.login()
    again = make_host(model, **options)
    if model is Staff:
        again.change_user(1, username="grace")
    assert again.client(again.login()).get("/orders").status_code == 200


def test_users_are_called_after_the_table_that_has_the_ids(make_host: MakeHost) -> None:
    """That of the base class, if a class is mapped to two tables."""
    assert make_host().services.issuer.users.users.name == "host_user"  # type: ignore[attr-defined]
