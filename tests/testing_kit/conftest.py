"""Fixtures of several modules here: an application of somebody else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from itemsapi.testing import close_database
from support.plain_host import PlainHost


@pytest.fixture
def host(tmp_path: Path) -> Iterator[PlainHost]:
    """An application with the layer around it."""
    host = PlainHost(tmp_path)
    yield host
    close_database(host.app)


@pytest.fixture
def app(host: PlainHost) -> Flask:
    """The Flask application of the host."""
    return host.app
