"""The guide documents all settings."""

import dataclasses
import re
from pathlib import Path

from itemsapi.settings import Settings

GUIDE = Path(__file__).parents[2] / "docs" / "operations.md"


def test_the_guide_documents_exactly_the_settings() -> None:
    """The table of settings and `Settings` have the same names."""
    table = GUIDE.read_text("utf-8").split("## Settings")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    documented = {name for row in rows for name in re.findall(r"`([A-Z0-9_]+)`", row)}
    assert documented == {field.name.upper() for field in dataclasses.fields(Settings)}
