"""The environment and the data of each contestant, kept between runs in `.cache/benchmarks`."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.clients import SECRET
from bench.contestants import Contestant

BENCHMARKS = Path(__file__).parents[1]
CACHE = BENCHMARKS.parent / ".cache" / "benchmarks"
PATHS = (str(BENCHMARKS), str(BENCHMARKS / "apps"))
VERSIONS = """
import json, sys
from importlib.metadata import version
print(json.dumps({name: version(name) for name in sys.argv[1:]}))
"""


def python_of(contestant: Contestant) -> str:
    """Return the Python of a contestant; install its requirements if they are not there yet."""
    if not contestant.requirements:
        return sys.executable
    folder = CACHE / f"{contestant.fill}-{_digest(*contestant.requirements)}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        print(f"installing {contestant.title}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        command = [str(python), "-m", "pip", "install", "-qq", *contestant.requirements]
        subprocess.run(command, check=True)  # noqa: S603 - ours
        (folder / "complete").touch()
    return str(python)


def is_installed(contestant: Contestant) -> bool:
    """Return whether the environment of a contestant is there."""
    folder = CACHE / f"{contestant.fill}-{_digest(*contestant.requirements)}"
    return not contestant.requirements or (folder / "complete").exists()


def versions_of(contestant: Contestant) -> dict[str, str]:
    """Return the versions of the packages of a contestant."""
    command = [python_of(contestant), "-c", VERSIONS, *contestant.packages]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
    found: dict[str, str] = json.loads(done.stdout)
    return found


def variables_of(contestant: Contestant, folder: Path, database: str = "") -> dict[str, str]:
    """Return the environment variables of a contestant whose data are in a folder.

    `database` is the address of a PostgreSQL database, in place of a file in the folder.
    """
    own = [os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else []
    paths = PATHS if contestant.requirements else (*own, *PATHS)
    return {
        "PYTHONPATH": os.pathsep.join(paths),
        "BENCH_DATABASE": database or f"sqlite:///{folder / 'bench.db'}",
        "BENCH_SECRET": SECRET,
        "ITEMSAPI_DATA_DIR": str(folder),
        "ITEMSAPI_DATABASE_URL": database or f"sqlite:///{folder / 'itemsapi.db'}",
        "ITEMSAPI_PUBLIC_URL": "http://localhost:8000",  # whatever the port: of every token
        "ITEMSAPI_RATE_LIMIT": "100000000/minute",  # counted as always, and never reached
        "ITEMSAPI_ACCESS_TTL": "1h",
        "ITEMSAPI_SESSION_LIMIT": "1000000",
        "ITEMSAPI_TRUSTED_PROXIES": "1",  # sign-ins come from many addresses
    }


def data_of(contestant: Contestant, users: int, items_per_user: int) -> Path:
    """Return the folder with the data of a contestant; make them if they are not there yet."""
    name = f"{contestant.fill}-{users}x{items_per_user}-{_digest(*_sources(contestant))}"
    folder = CACHE / "data" / name
    if not folder.exists():
        print(f"filling {contestant.title}", file=sys.stderr)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            made = Path(temporary) / "data"
            made.mkdir()
            fill(contestant, variables_of(contestant, made), made, users, items_per_user)
            made.rename(folder)  # whole, or not at all
    return folder


def fill(
    contestant: Contestant,
    variables: Mapping[str, str],
    folder: Path,
    users: int,
    items_per_user: int,
) -> None:
    """Make the data of a contestant, in the database that the variables name."""
    counts = {"BENCH_USERS": str(users), "BENCH_ITEMS": str(items_per_user)}
    subprocess.run(  # noqa: S603 - ours
        [python_of(contestant), str(BENCHMARKS / "apps" / f"{contestant.fill}.py")],
        env=os.environ | variables | counts,
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
    )


def _sources(contestant: Contestant) -> Iterator[str]:
    """Yield the programs that made the data, and the names of the migrations."""
    files = [BENCHMARKS / "apps" / f"{contestant.fill}.py", *BENCHMARKS.glob("bench/*data*.py")]
    yield from (file.read_text() for file in files)
    yield from sorted(file.name for file in (BENCHMARKS.parent / "migrations").rglob("*.py"))


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]
