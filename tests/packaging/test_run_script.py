"""`./run`: it installs when something changed, and only then.

In a copy of what it reads, with programs in the place of uv and of the service: what they are
called with is what the script decides.
"""

import subprocess
from pathlib import Path

import pytest

INSTALLS = """#!/bin/sh
case "$1" in
    --version) exit 0 ;;
esac
echo "$UV_PROJECT_ENVIRONMENT: $*" >>installs
[ ! -e broken ] || exit 2
mkdir -p .cache/run/bin
printf '#!/bin/sh\\necho "serves $*"\\n' >.cache/run/bin/itemsapi
cp .cache/run/bin/itemsapi .cache/run/bin/python
chmod +x .cache/run/bin/*
"""


@pytest.fixture
def checkout(root: Path, tmp_path: Path) -> Path:
    """A small checkout with the script, and a uv that writes down how it is called."""
    for name in ("run", "scripts/tools.sh"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text((root / name).read_text("utf-8"), "utf-8")
    client = "clients/js/itemsapi-auth.min.js"
    for name in ("src/app.py", "src/old.py", "migrations/1.py", client, f"{client}.map"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1\n", "utf-8")
    for name in ("pyproject.toml", "uv.lock", "README.md", "LICENSE"):
        (tmp_path / name).touch()
    uv = tmp_path / ".cache" / "uv" / "bin" / "uv"
    uv.parent.mkdir(parents=True)
    uv.write_text(INSTALLS, "utf-8")
    uv.chmod(0o755)
    return tmp_path


def run(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script to its end."""
    return subprocess.run(
        ["/bin/sh", str(checkout / "run"), *arguments],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def installs(checkout: Path) -> int:
    """Return how often the package was installed."""
    return len((checkout / "installs").read_text("utf-8").splitlines())


def test_run_says_that_it_installs_at_the_first_start(checkout: Path) -> None:
    """It takes long, and uv shows its progress at a terminal only."""
    first = run(checkout, "--port", "9000")
    assert first.stderr.startswith("Installing itemsapi into .cache/run")
    assert first.stdout == "serves serve --admin admin --port 9000\n"


def test_run_writes_nothing_before_the_service_when_nothing_changed(checkout: Path) -> None:
    """The first line is the service's own, and nothing is installed."""
    run(checkout)
    second = run(checkout)
    assert (second.stdout, second.stderr) == ("serves serve --admin admin\n", "")
    assert installs(checkout) == 1


@pytest.mark.parametrize("name", ["src/app.py", "src/new.py", "migrations/1.py", "uv.lock"])
def test_run_installs_again_when_a_file_was_edited(checkout: Path, name: str) -> None:
    """It never serves stale code; the length of the file may be the same."""
    run(checkout)
    (checkout / name).write_text("2\n", "utf-8")
    run(checkout)
    assert installs(checkout) == 2


def test_run_installs_again_when_a_file_was_removed(checkout: Path) -> None:
    """The newest of the times of change would not show that."""
    run(checkout)
    (checkout / "src" / "old.py").unlink()
    run(checkout)
    assert installs(checkout) == 2


def test_run_installs_again_when_the_python_is_gone(checkout: Path) -> None:
    """An environment is a link to it."""
    run(checkout)
    (checkout / ".cache" / "run" / "bin" / "python").unlink()
    run(checkout)
    assert installs(checkout) == 2


def test_run_installs_again_when_an_installation_failed(checkout: Path) -> None:
    """Half of one is not served."""
    run(checkout)
    (checkout / "src" / "app.py").write_text("2\n", "utf-8")
    (checkout / "broken").touch()
    assert run(checkout).returncode == 2
    (checkout / "broken").unlink()
    assert run(checkout).stdout == "serves serve --admin admin\n"
    assert installs(checkout) == 3
