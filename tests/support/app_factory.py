"""An application under test, its users and clients."""

from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from itemsapi.accounts.models import User, UserRole
from itemsapi.clock import new_id
from itemsapi.composition import Services
from itemsapi.testing import PASSWORD, MovableClock, bearer_client


class BufferedClient(FlaskClient):
    """A client that reads each response to its end, so that code after the response runs too."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        """Send a request and read the whole response."""
        return super().open(*args, **{"buffered": True, **kwargs})


@dataclass
class Backend:
    """An application under test with its services, and helpers to create users and clients."""

    app: Flask
    services: Services
    clock: MovableClock

    def create_user(self, name: str, *roles: str, password: str = PASSWORD) -> str:
        """Create a user with these roles; return the id."""
        user_id, now = new_id(), self.clock()
        password_hash_value = self.services.issuer.password_service.hash(password)
        with self.services.database.transaction() as tx:
            tx.add(
                User(
                    id=user_id,
                    username=name,
                    password_hash=password_hash_value,
                    created_at=now,
                    updated_at=now,
                )
            )
            tx.flush()
            tx.add_all(UserRole(user_id=user_id, role=role) for role in roles)
        return user_id

    def client(self) -> FlaskClient:
        """Return a client without credentials."""
        return self.app.test_client()

    def login(self, name: str, **fields: Any) -> dict[str, Any]:
        """Sign a user in over HTTP; return the response body.

        `fields` override the request body. Unlike `itemsapi.testing.sign_in` this works on an
        application that has routes without a rule.
        """
        body = {"username": name, "password": PASSWORD} | fields
        response = self.client().post("/auth/login", json=body)
        assert response.status_code == 200, response.get_data(as_text=True)
        tokens: dict[str, Any] = response.get_json()
        return tokens

    def signed_in_client(self, name: str, *roles: str, scope: str | None = None) -> FlaskClient:
        """Create a user with these roles; return a client that sends their access token."""
        self.create_user(name, *roles)
        return self.bearer_client(
            self.login(name, **({"scope": scope} if scope else {}))["access_token"]
        )

    def bearer_client(self, token: str) -> FlaskClient:
        """Return a client that sends this access token."""
        return bearer_client(self.app, token)
