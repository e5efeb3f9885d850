"""The artifacts that would be published: an sdist, and the wheel built from it."""

import compileall
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# The script that pip writes for a `console_scripts` entry point; those that the documents run.
CONSOLE_SCRIPT = """#!{python}
import sys
from {module} import main
if __name__ == "__main__":
    sys.exit(main())
"""

COMMANDS = {
    "itemsapi": "itemsapi.cli",
    "alembic": "alembic.config",
    "flask": "flask.cli",
    "pytest": "pytest",
}


def build(target: str, *, source: Path, into: Path) -> Path:
    """Build an "sdist" or a "wheel" with the build backend, without a network."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(into)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=120)
    return next(into.iterdir())


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, built from the checkout."""
    return build("sdist", source=ROOT, into=tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="session")
def unpacked(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, unpacked outside the checkout."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Debian's 3.11 has none
        archive.extractall(folder)  # noqa: S202 (our own archive, made above)
    return next(folder.iterdir())


@pytest.fixture(scope="session")
def wheel(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from the unpacked sdist."""
    return zipfile.ZipFile(build("wheel", source=unpacked, into=tmp_path_factory.mktemp("wheel")))


@pytest.fixture(scope="session")
def installed(wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel next to the installed dependencies; return its `bin`."""
    return install(tmp_path_factory.mktemp("installed"), wheel)


@pytest.fixture(scope="session")
def adopter(wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel and the project in tests/adopter; return their `bin`."""
    built = build(
        "wheel", source=ROOT / "tests" / "adopter", into=tmp_path_factory.mktemp("adopter")
    )
    return install(tmp_path_factory.mktemp("adopted"), wheel, zipfile.ZipFile(built))


def install(home: Path, *wheels: zipfile.ZipFile) -> Path:
    """Install wheels next to the installed dependencies; return the `bin` folder."""
    venv.create(home, symlinks=True)
    (site,) = home.glob("lib/python*/site-packages")
    for wheel in wheels:
        wheel.extractall(site)  # noqa: S202 (our own archives, made above)
    compileall.compile_dir(site, quiet=1)  # as pip does; another user cannot
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    for name, module in COMMANDS.items():
        command = home / "bin" / name
        command.write_text(CONSOLE_SCRIPT.format(python=home / "bin" / "python", module=module))
        command.chmod(0o755)
    home.chmod(0o755)  # other users run the commands too
    return home / "bin"
