"""This service: its data; `itemsapi serve` runs it."""

import os
from pathlib import Path

from bench.service_data import fill

from itemsapi import create_app
from itemsapi.services import EXTENSION
from itemsapi.settings import Settings

if __name__ == "__main__":
    url = os.environ["ITEMSAPI_DATABASE_URL"]
    app = create_app(Settings(data_dir=Path.cwd(), database_url=url))
    services = app.extensions[EXTENSION]
    fill(services, int(os.environ["BENCH_USERS"]), int(os.environ["BENCH_ITEMS"]))
    services.database.dispose()
