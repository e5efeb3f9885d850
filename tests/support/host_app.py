"""A plain Flask application with users in a table of its own, behind the layer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, String, delete, insert, inspect, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session
from werkzeug.security import generate_password_hash

from itemsapi.composition import Services
from itemsapi.extension import AuthLayer
from itemsapi.services import EXTENSION
from itemsapi.testing import PASSWORD, MovableClock


class HostBase(DeclarativeBase):
    """The base class of the application's tables."""


class HostUser(HostBase):
    """A user of the application, with a number as the id."""

    __tablename__ = "host_user"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(80), unique=True)
    email: Mapped[str | None] = mapped_column(String(120), unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(255))
    active: Mapped[bool | None] = mapped_column(default=True)
    scopes: Mapped[str] = mapped_column(String(200), default="")


def cheap_hash(password: str = PASSWORD) -> str:
    """Return a hash in Werkzeug's format, quickly made."""
    return generate_password_hash(password, "pbkdf2:sha256:1000")


@dataclass
class Host:
    """The application, its layer, and its users."""

    app: Flask
    auth: AuthLayer
    engine: Engine
    session: scoped_session[Session]
    clock: MovableClock
    model: type[Any] = HostUser

    @property
    def services(self) -> Services:
        """The services of the layer."""
        services: Services = self.app.extensions[EXTENSION]
        return services

    def create_user(self, username: str = "grace", **columns: Any) -> Any:
        """Create a user, committed by the application; return the id."""
        values = {"username": username, "password_hash": cheap_hash(), "scopes": "orders:read"}
        with self.engine.begin() as connection:
            row = connection.execute(insert(self.model).values(**values | columns))
            assert row.inserted_primary_key is not None
            return row.inserted_primary_key[0]

    def change_user(self, user_id: object, **columns: Any) -> None:
        """Change a user, committed by the application."""
        key = inspect(self.model).primary_key[0]
        with self.engine.begin() as connection:
            connection.execute(update(self.model).where(key == user_id).values(**columns))

    def delete_user(self, user_id: object) -> None:
        """Delete a user, committed by the application, which says nothing to the layer."""
        key = inspect(self.model).primary_key[0]
        with self.engine.begin() as connection:
            connection.execute(delete(self.model).where(key == user_id))

    def stored_hash(self, user_id: object) -> str:
        """Return the stored password hash of a user."""
        key = inspect(self.model).primary_key[0]
        with self.engine.connect() as connection:
            query = select(self.model.password_hash).where(key == user_id)
            return str(connection.execute(query).scalar_one())

    def try_login(self, username: str = "grace", password: str = PASSWORD) -> Any:
        """Try to sign in; return the response."""
        body = {"username": username, "password": password}
        return self.app.test_client().post("/auth/login", json=body)

    def login(self, username: str = "grace", password: str = PASSWORD) -> dict[str, Any]:
        """Sign in; return the tokens."""
        response = self.try_login(username, password)
        assert response.status_code == 200, response.get_data(as_text=True)
        tokens: dict[str, Any] = response.get_json()
        return tokens

    def refresh(self, tokens: dict[str, Any]) -> Any:
        """Present the refresh token; return the response."""
        body = {"refresh_token": tokens["refresh_token"]}
        return self.app.test_client().post("/auth/refresh", json=body)

    def client(self, tokens: dict[str, Any]) -> FlaskClient:
        """Return a client that sends the access token."""
        client = self.app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {tokens['access_token']}"
        return client

    def users_changed(self, *user_ids: Any) -> None:
        """Tell the layer that the application changed users."""
        with self.app.app_context():
            self.auth.users_changed(*user_ids)


MakeHost = Callable[..., Host]
