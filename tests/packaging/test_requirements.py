"""docs/requirements.md is what scripts/requirements.py generates."""

import subprocess
import sys
from pathlib import Path


def test_requirements_page_is_current(root: Path) -> None:
    """Fails if a test cites an unlisted id, or if the page was not generated again."""
    script = root / "scripts" / "requirements.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
