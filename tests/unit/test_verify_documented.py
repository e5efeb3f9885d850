"""`docs/verify.md` says what the command does."""

import dataclasses
import re
import tomllib
from pathlib import Path

import pytest

from itemsapi.verify.document import parse_document
from itemsapi.verify.settings import VerifySettings, matches, parse_settings
from support.app_factory import Backend

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "verify.md"
CI = DOCS / "examples" / "verify" / "verify.toml"

pytestmark = pytest.mark.dialect("sqlite")  # the page does not depend on the database


@pytest.fixture
def example() -> dict[str, object]:
    """The example of `verify.toml`."""
    found = re.search(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return tomllib.loads(found[1])


def test_example_of_the_settings_can_be_read(example: dict[str, object]) -> None:
    """A reader may copy it as it is."""
    assert parse_settings(example).login == "ada"


def test_every_setting_is_documented(example: dict[str, object]) -> None:
    """The command stands beside the example: it takes the place of the sign-in."""
    names = {field.name for field in dataclasses.fields(VerifySettings)}
    assert names - set(example) == {"token_command"}


@pytest.fixture
def public_operations(backend: Backend) -> dict[str, bool]:
    """Whether each operation of the service is public."""
    raw = backend.client().get("/openapi.json").get_json()
    document = parse_document(raw, "http://localhost/openapi.json")
    return {operation.label: operation.public for operation in document.operations}


@pytest.mark.parametrize("file", [PAGE, CI], ids=["page", "example of CI"])
def test_the_public_operations_of_the_service_are_named(
    file: Path, public_operations: dict[str, bool]
) -> None:
    """All of them and no other, and no name is left over: the command refuses such a file."""
    (shown,) = re.findall(
        r"^public = (\[.*?\])$", file.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    names = tomllib.loads(f"public = {shown}")["public"]
    assert {each: matches(each, names) for each in public_operations} == public_operations
    assert [
        name for name in names if not any(matches(each, [name]) for each in public_operations)
    ] == []
