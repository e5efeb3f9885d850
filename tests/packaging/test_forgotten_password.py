"""A forgotten password: the one line of the README and of the guide for operators."""

import re
import shlex
from pathlib import Path

import pytest

from itemsapi.testing import PASSWORD
from support.app_factory import Backend
from support.command_line import Shell, shell_at

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "docs/operations.md"]

pytestmark = pytest.mark.dialect("sqlite")  # the pages do not depend on the database


@pytest.fixture
def shell(database_url: str, tmp_path: Path) -> Shell:
    """A shell for the service of `backend`."""
    return shell_at(tmp_path, database_url=database_url)


def command_of(page: str, name: str) -> list[str]:
    """Return the words of the first command of a page that sets a password."""
    text = (ROOT / page).read_text("utf-8")
    line = re.search(r"`\S*itemsapi (users set-password [^`]+)`", text)
    assert line is not None
    return shlex.split(line[1].replace("NAME", name))


@pytest.mark.parametrize("page", PAGES)
def test_a_forgotten_password_is_replaced_by_the_line_of_the_page(
    page: str, shell: Shell, backend: Backend
) -> None:
    """The printed password signs the user in, the old one does not."""
    backend.create_user("admin", "admin")
    printed = shell.run(*command_of(page, "admin")).out
    password = re.search(r"^Password: (\S+) ", printed, re.MULTILINE)
    assert password is not None
    statuses = [
        backend.client().post("/auth/login", json={"username": "admin", "password": each}).status
        for each in (password[1], PASSWORD)
    ]
    assert statuses == ["200 OK", "401 UNAUTHORIZED"]
