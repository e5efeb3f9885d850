"""What an application under test needs: its tables, and users who can sign in."""

from collections.abc import Iterable
from itertools import count

from flask import Flask

from itemsapi import db
from itemsapi.accounts.models import COMMAND_LINE
from itemsapi.clock import Clock
from itemsapi.extension import AuthLayer
from itemsapi.gate.rulebook import Rulebook
from itemsapi.services import services_of
from itemsapi.testing.settings import TestingSettings
from itemsapi.tokens.scopes import Scope

PASSWORD = "plain horse battery staple"  # noqa: S105 - of users in tests
_role_numbers = count(1)


def require_test_settings(app: Flask) -> None:
    """Raise `RuntimeError` for an application without the settings of a test.

    A test would write to the database of the developer.
    """
    if isinstance(services_of(app).settings, TestingSettings):
        return
    raise RuntimeError(
        f"the application {app.name} was not built with auth_settings, so the test would write to"
        " the database of development; in the fixture `app` write AuthLayer(app,"
        " settings=auth_settings), or auth.init_app(app, settings=auth_settings)"
    )


def require_clock(app: Flask, clock: Clock) -> None:
    """Raise `RuntimeError` unless the application has this clock: moving it would do nothing."""
    if services_of(app).clock is not clock:
        raise RuntimeError(
            f"the application {app.name} was not built with auth_clock, so moving it would change"
            " nothing; in the fixture `app` write AuthLayer(app, clock=auth_clock), or"
            " auth.init_app(app, clock=auth_clock)"
        )


def seal(app: Flask) -> Rulebook:
    """Return the rules of an application. Raise `RulesInvalid` if a route has none."""
    return AuthLayer.seal(app)


def create_tables(app: Flask) -> None:
    """Create the tables of the layer in the database of an application, or bring them up to date.

    Raise `MigrationFailed` or `DatabaseUnavailable`.
    """
    db.upgrade(services_of(app).database)


def close_database(app: Flask) -> None:
    """Close the connections of the layer to the database; a later request opens new ones."""
    services_of(app).database.dispose()


def create_user(
    app: Flask,
    username: str,
    password: str = PASSWORD,
    *,
    roles: Iterable[str] = (),
    scopes: Iterable[Scope | str] = (),
) -> str:
    """Create a user with these roles, and with a new role for `scopes`; return the user's id.

    Raise `ValidationFailed` for a weak password, an unknown role or an unknown scope, `Conflict` if
    the name is taken, and `RuntimeError` for an application with users of its own.
    """
    seal(app)
    services, names = services_of(app), [*roles]
    if not services.has_layer_users:
        raise RuntimeError(
            f"the users of {app.name} are its own (users=...); create one in its table"
        )
    if wanted := sorted(map(str, scopes)):
        names.append(f"testing-{next(_role_numbers)}")
        services.roles.put(COMMAND_LINE, names[-1], description="", scopes=wanted)
    return services.users.create(COMMAND_LINE, username, password, names).id
