"""The client's own project: its tests under Node, its types, and how large it may be."""

import re
from typing import Final

import pytest

from support.npm_packages import Project, client_in

# The mark in front depends on the version of Node.
COUNTS: Final = re.compile(r"^\S (tests|pass|fail|skipped|todo) (\d+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def client(node: None, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the client with its tools."""
    return client_in(tmp_path_factory.mktemp("client"))


def test_its_own_tests_pass_under_node(client: Project) -> None:
    """Node's test runner; what it counts is there, and none of it fails or is left out."""
    counted = dict(COUNTS.findall(client.script("test")))
    assert int(counted.pop("tests")) == int(counted.pop("pass")) > 100
    assert set(counted.values()) == {"0"}


def test_client_and_console_are_typed_strictly(client: Project) -> None:
    """Tsc finds nothing, and the declarations in the package are those of the source."""
    client.script("check")


def test_it_stays_small(client: Project) -> None:
    """Under 3,500 bytes, minified and gzipped."""
    assert "gzipped" in client.script("size")
