"""`docs/verify.md` says what the command does."""

import dataclasses
import re
import tomllib
from pathlib import Path

import pytest

from itemsapi.verify.settings import VerifySettings, parse_settings

PAGE = Path(__file__).parents[2] / "docs" / "verify.md"


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
