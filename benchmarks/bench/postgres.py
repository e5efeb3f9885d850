"""Databases on a PostgreSQL server, each for one contestant and one run."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from sqlalchemy import create_engine, make_url, text


@contextmanager
def new_database(server: str) -> Iterator[str]:
    """Create a database; yield its address, and drop it afterwards.

    `server` is the address of any database of the server, as `postgresql://`, of a user who may
    create others.
    """
    name = f"bench_{uuid4().hex}"
    address = make_url(server)
    driver = address.set(drivername="postgresql+psycopg")
    engine = create_engine(driver, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        try:
            yield address.set(database=name).render_as_string(hide_password=False)
        finally:
            with engine.connect() as connection:
                connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    finally:
        engine.dispose()
