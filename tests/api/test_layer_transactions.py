"""Transactions of the layer on a plain Flask host: `auth.transaction` and `auth.record`."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
from flask import Flask
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from itemsapi.extension import AuthLayer
from itemsapi.services import EXTENSION, services
from itemsapi.settings import Settings

pytestmark = pytest.mark.dialect("sqlite")  # tests/flows has both databases


@pytest.fixture
def auth(settings: Settings) -> Iterator[AuthLayer]:
    """The layer, in the application context of a host."""
    auth = AuthLayer(app := Flask("host"), settings=settings)
    with app.app_context():
        yield auth
    app.extensions[EXTENSION].database.dispose()


def events() -> list[str]:
    """Return the events in the audit trail, the newest first."""
    return [row.event for row in services().audit.latest(before=None, limit=9)]


def test_an_event_of_the_host_is_recorded(auth: AuthLayer) -> None:
    """In a transaction of its own."""
    auth.record("order_placed", user_id="ada", product="Desk lamp")
    assert events() == ["order_placed"]


def test_an_event_is_recorded_with_the_rows_of_the_host(
    auth: AuthLayer, settings: Settings
) -> None:
    """Not before, and not if the host rolls back."""
    engine = create_engine(settings.database_url)
    with Session(engine) as session:
        auth.record("order_placed", connection=session)
        session.rollback()
        auth.record("order_paid", connection=session)
        session.commit()
    engine.dispose()
    assert events() == ["order_paid"]


def test_what_a_transaction_writes_is_rolled_back_on_an_error(auth: AuthLayer) -> None:
    """It is a transaction of the layer, without `connection`."""
    with suppress(ZeroDivisionError), auth.transaction() as tx:
        auth.record("order_placed", connection=tx)
        tx.execute(text("DELETE FROM itemsapi_role"))
        raise ZeroDivisionError
    with auth.transaction() as tx:
        assert tx.scalar(text("SELECT count(*) FROM itemsapi_role")) == 3
    assert events() == []
