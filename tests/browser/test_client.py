"""The JavaScript client's own project: its Node tests, its types and its minified files."""

import re
from typing import Final

import pytest

from support.npm_packages import Project, client_in

# The leading symbol depends on the Node version.
COUNTS: Final = re.compile(r"^\S (tests|pass|fail|skipped|todo) (\d+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def client(node: None, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the client with its tools."""
    return client_in(tmp_path_factory.mktemp("client"))


def test_client_tests_pass_under_node(client: Project) -> None:
    """All tests run, and none fails or is skipped."""
    counted = dict(COUNTS.findall(client.script("test")))
    assert int(counted.pop("tests")) == int(counted.pop("pass")) > 100
    assert set(counted.values()) == {"0"}


def test_client_and_console_pass_strict_type_checks(client: Project) -> None:
    """There are no errors; the declarations and the minified files match the source."""
    client.script("check")
