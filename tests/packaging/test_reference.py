"""The reference pages are what the scripts generate, and describe every public name."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import itemsapi


@pytest.mark.parametrize("name", ["reference.py", "reference_pages.py"])
def test_reference_page_is_current(root: Path, name: str) -> None:
    """Fails if the code changed and the page was not generated again."""
    script = root / "scripts" / name
    done = subprocess.run(
        [sys.executable, str(script), "--check"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0


def test_public_names_are_listed_by_dir() -> None:
    """Exactly those of `__all__`, in order: what a shell completes."""
    assert dir(itemsapi) == itemsapi.__all__ == sorted(itemsapi.__all__)


@pytest.mark.parametrize("name", itemsapi.__all__)
def test_a_public_name_is_described(root: Path, name: str) -> None:
    """It has a docstring of its own, and a place in the reference."""
    assert inspect.getdoc(getattr(itemsapi, name))
    assert f"\n### `{name}`\n" in (root / "docs" / "reference.md").read_text("utf-8")


def test_an_unknown_name_is_an_error() -> None:
    """As in any module, for typing errors in imports."""
    with pytest.raises(AttributeError, match="has no attribute 'AuthLayr'"):
        itemsapi.AuthLayr  # type: ignore[attr-defined]  # noqa: B018
