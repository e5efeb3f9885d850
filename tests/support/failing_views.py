"""A blueprint that cannot be imported while the file `broken` is in the folder of the data."""

import os
from pathlib import Path

from itemsapi.rest import Blueprint

if (Path(os.environ["ITEMSAPI_DATA_DIR"]) / "broken").exists():
    raise ImportError("this version cannot start")

views = Blueprint("views", __name__, url_prefix="/views")
