"""`itemsapi openapi`: write the OpenAPI document."""

from typing import IO

import click

from itemsapi.cli.context import application
from itemsapi.rest.openapi.document import current_document


@click.command
@click.argument("file", type=click.File("wb"), default="-")
def command(file: IO[bytes]) -> None:
    """Write the OpenAPI document to FILE, or to standard output."""
    with application().app_context():
        file.write(current_document().body + b"\n")
