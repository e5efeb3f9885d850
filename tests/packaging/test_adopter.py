"""The project in tests/adopter: a resource of one's own, built on the public names alone.

Its own tests run on the installed wheels of both, as they would on its author's machine. The
environment `typing` checks its types.
"""

import ast
import subprocess
from pathlib import Path

import pytest

import itemsapi
from support.installed import environment

ADOPTER = Path(__file__).parents[1] / "adopter"
SOURCES = sorted(ADOPTER.rglob("*.py"))
PUBLIC_MODULES = {"itemsapi", "itemsapi.problems", "itemsapi.testing"}


def imports(source: Path) -> set[tuple[str, str]]:
    """Return what a file imports from `itemsapi`, as pairs of module and name."""
    tree = ast.parse(source.read_text("utf-8"))
    names = {
        (node.module or "", each.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for each in node.names
    } | {
        (each.name, "")
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for each in node.names
    }
    return {pair for pair in names if pair[0].split(".")[0] == "itemsapi"}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_the_project_imports_public_names_only(source: Path) -> None:
    """What is not public may change in any release."""
    imported = imports(source)
    assert {module for module, _ in imported} <= PUBLIC_MODULES
    assert {name for module, name in imported if module == "itemsapi"} <= {*itemsapi.__all__}


def test_the_tests_of_the_project_pass(adopter: Path) -> None:
    """Upload, stream, list, change by version, retry, and a problem of its own."""
    options = ["-p", "no:schemathesis", "-p", "no:anyio", "-p", "no:cacheprovider", "-q"]
    done = subprocess.run(
        [adopter / "python", "-m", "pytest", *options, "--rootdir", ADOPTER, ADOPTER],
        env=environment(adopter),
        cwd=ADOPTER,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
