"""The guide "Test your endpoints", run word for word.

As by a user who has installed the wheel: its files in an empty folder, and pytest, which finds the
fixtures by the entry point of the package.
"""

import re
import subprocess
from pathlib import Path

import pytest

from support.installed import TIMEOUT_SECONDS, environment

GUIDE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text("utf-8")
FILE = re.compile(r"`(\w+\.py)`:\n\n```python\n(.*?)```", re.DOTALL)
FILES = dict(FILE.findall(GUIDE))
TESTS = sum(text.count("def test_") for text in FILES.values())


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


def test_the_guide_has_a_name_for_each_file() -> None:
    """So that none is left out here."""
    assert len(FILES) == GUIDE.count("```python")


def test_the_tests_of_the_guide_pass(installed: Path, project: Path) -> None:
    """All of them, with the fixtures of the installed package."""
    assert f"{TESTS} passed" in run_tests(installed, project)


def test_the_table_in_the_guide_is_that_of_a_wrong_rule(installed: Path, project: Path) -> None:
    """The rule declares a scope and does not check it. The counts depend on the layer's routes."""
    ((_, *rows),) = [
        text.splitlines() for text in re.findall(r"```text\n(.*?)```", GUIDE, re.DOTALL)
    ]
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
