"""The table that the guide "Test your endpoints" shows; `test_documents.py` runs its tests."""

import subprocess
from pathlib import Path

import pytest

from support.document_blocks import read_blocks
from support.installed import TIMEOUT_SECONDS, environment

ROOT = Path(__file__).parents[2]
BLOCKS = read_blocks(ROOT, "docs/testing.md")
FILES = {block.options["file"]: block.text for block in BLOCKS if "file" in block.options}


def run_tests(installed: Path, folder: Path, *options: str) -> str:
    """Run the tests of a folder with warnings as errors; return the output."""
    options = ("-q", "-W", "error", "-p", "no:cacheprovider", *options)
    done = subprocess.run(
        [installed / "python", "-m", "pytest", *options],
        cwd=folder,
        env=environment(installed),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the files of the guide."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def test_the_table_in_the_guide_is_that_of_a_wrong_rule(installed: Path, project: Path) -> None:
    """The rule declares a scope and does not check it. The counts depend on the layer's routes."""
    ((_, *rows),) = [block.text.splitlines() for block in BLOCKS if block.language == "text"]
    text = FILES["test_rules.py"].replace("def test", f"{WRONG_RULE}def test")
    (project / "test_rules.py").write_text(text, "utf-8")
    output = run_tests(installed, project, "test_rules.py").splitlines()
    shown = {line.removeprefix("E").strip() for line in output}
    assert [row for row in rows if row not in shown] == []


WRONG_RULE = """
import pytest
from itemsapi.gate.rules import Rule

class LaxRule(Rule):
    def check(self, *args):
        Rule("signed in").check(*args)

@pytest.fixture(autouse=True)
def rule_of_orders(app):
    app.view_functions["list_orders"].__itemsapi_rules__ = (LaxRule("scopes", ("orders:read",)),)

"""
