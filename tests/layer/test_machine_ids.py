"""No user has the id of a machine: rates, keys and owners are told apart by it."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from itemsapi import HmacSignature
from itemsapi.extension import AuthLayer
from itemsapi.issuer.user_source import ApplicationUsers
from itemsapi.services import EXTENSION
from support.host_app import Host, HostBase, MakeHost
from support.log_records import LogRecords

SENDER = HmacSignature.github("bank", secrets=["0123456789abcdef"])


class UserByText(HostBase):
    """A user whose id is a text."""

    __tablename__ = "user_by_text"

    id: Mapped[str] = mapped_column(String(128), primary_key=True)
    username: Mapped[str] = mapped_column(String(80), unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(255))
    active: Mapped[bool | None] = mapped_column(default=True)
    scopes: Mapped[str] = mapped_column(String(200), default="")


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    """An application whose users have texts as ids."""
    return make_host(model=UserByText)


def source_of(host: Host, *names: str) -> ApplicationUsers:
    """Return the users as the issuer sees them, with other credentials."""
    source = host.services.issuer.users
    assert isinstance(source, ApplicationUsers)
    return replace(source, machine_names=names)


@pytest.mark.parametrize(
    ("user_id", "status"),
    [("webhook:bank", 401), ("webhook", 401), ("webhooks:1", 200), ("a:webhook", 200)],
)
def test_a_user_with_the_id_of_a_machine_does_not_sign_in(
    host: Host, user_id: str, status: int, log_records: LogRecords
) -> None:
    """S-122: `webhook:bank` is the sender of webhooks. The log says why."""
    host.create_user(id=user_id)
    assert host.try_login().status_code == status
    assert any("user_id_of_a_machine" in line for line in log_records.lines()) is (status == 401)


@pytest.mark.dialect("sqlite")
def test_a_user_is_disabled_when_a_credential_takes_the_id(host: Host) -> None:
    """Not missing: neither sessions nor keys are lost for good, should its name be changed."""
    host.create_user(id="bank:7")
    user, _ = source_of(host, "bank").find_with_scopes("bank:7")
    assert user is not None
    assert not user.enabled


@pytest.mark.dialect("sqlite")
def test_a_refresh_is_refused_when_a_credential_takes_the_id(host: Host) -> None:
    """The next refresh reads the user again."""
    host.create_user(id="bank:7")
    tokens = host.login()
    source: Any = host.services.issuer.users
    object.__setattr__(source, "machine_names", ("bank",))
    assert host.refresh(tokens).status_code == 401


@pytest.mark.dialect("sqlite")
def test_each_credential_of_the_application_has_ids_of_its_own(host: Host) -> None:
    """The name of the credential, and `webhook` for all senders."""
    users: Any = host.services.issuer.users
    auth = AuthLayer(users=users.users, credentials=[SENDER], settings=host.services.settings)
    app = type(host.app)("other")
    auth.init_app(app)
    services = app.extensions[EXTENSION]
    services.database.dispose()
    assert services.issuer.users.machine_names == {"webhook", "bank"}
