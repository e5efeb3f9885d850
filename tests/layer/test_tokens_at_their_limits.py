"""No token is handed out that the gate refuses: what does not fit is a 503 at sign-in."""

from typing import Any

import pytest
from sqlalchemy import String, func, select
from sqlalchemy.orm import Mapped, mapped_column

from itemsapi import Scope, requires
from itemsapi.clock import new_id
from itemsapi.problems import ClaimsUnavailable
from itemsapi.tokens.sessions import AuthSession
from support.host_app import HostBase, MakeHost
from support.tokens import error_code

MANY = [Scope(f"orders:{'x' * 30}{number:03}", "One of many") for number in range(60)]


class NamedUser(HostBase):
    """A user whose id is any text."""

    __tablename__ = "user_with_any_id"

    id: Mapped[str] = mapped_column(String(128), primary_key=True)
    username: Mapped[str] = mapped_column(String(80), unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(255))
    active: Mapped[bool | None] = mapped_column(default=True)
    scopes: Mapped[str] = mapped_column(String(200), default="")


@pytest.mark.parametrize("user_id", ["[{" * 10, '"[' * 40, "\\" * 128, "😀" * 128, "a b", "*"])
def test_a_user_has_usable_tokens_whatever_the_id_contains(
    make_host: MakeHost, user_id: str
) -> None:
    """The limit of lists and objects in a token is not one of brackets in a text (S-033)."""
    host = make_host(model=NamedUser)
    host.create_user(id=user_id)
    assert host.client(host.login()).get("/orders").text == user_id


def test_a_sign_in_is_503_when_a_token_cannot_have_all_scopes(make_host: MakeHost) -> None:
    """Nothing has happened: there is no session."""
    host = make_host(scopes=lambda _: MANY)
    host.create_user()
    host.app.add_url_rule("/many", "many", requires(*MANY)(lambda: "done"))
    assert error_code(host.try_login()) == "claims_unavailable"
    with host.services.database.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(AuthSession.core())) == 0


@pytest.mark.dialect("sqlite")
@pytest.mark.parametrize("fault", [{"additional": {"a": "x" * 8000}}, {"sid": "no-id"}])
def test_no_token_is_made_that_the_gate_would_refuse(
    make_host: MakeHost, fault: dict[str, Any]
) -> None:
    """It is too long, or a claim is none that a token can have."""
    claims: dict[str, Any] = {"sid": new_id(), "additional": {}} | fault
    with pytest.raises(ClaimsUnavailable):
        make_host().services.token_codec.create_access_token(
            sub="1", gen=1, epoch=0, scopes=frozenset(), auth_time=1, amr=("pwd",),
            iat=1, not_after=9, fresh=False, **claims,
        )  # fmt: skip
