"""The folder of the migrations, and the newest of our revisions, found without Alembic.

The revisions of the layer and of the Items API are numbered one after the other, and each file
begins with the number of its revision.
"""

import functools
from collections.abc import Sequence
from pathlib import Path

from itemsapi.db.schema_errors import MigrationFailed

ENVIRONMENTS = (
    Path(__file__).parents[1] / "migrations",
    Path(__file__).parents[3] / "migrations",
)
LAYER_FOLDER, ITEM_FOLDER = "versions", "items"  # in the environment


@functools.cache
def environment() -> Path:
    """Return the folder with `env.py` and the template of new revisions. Raise as below."""
    return find_environment(ENVIRONMENTS)


def find_environment(places: Sequence[Path]) -> Path:
    """Return the first of these folders that exists.

    Raise `MigrationFailed` if the package was installed without it.
    """
    for folder in places:
        if folder.is_dir():
            return folder
    raise MigrationFailed(f"the folder {places[0]} is missing; install itemsapi again")


@functools.cache
def newest_number(folder: str) -> str:
    """Return the newest revision in a folder of the environment, such as `0002`."""
    files = (environment() / folder).glob("[0-9]*_*.py")
    return max(file.name.partition("_")[0] for file in files)
