"""`itemsapi openapi`: write the OpenAPI document."""

from typing import IO

import click

from itemsapi.cli.context import application
from itemsapi.cli.terminal import print_lines


@click.command
@click.argument("file", type=click.File("wb"), default="-")
def command(file: IO[bytes]) -> None:
    """Write the OpenAPI document to FILE, or to standard output.

    With `--app` it has the operations of the layer, and of routes that no other document has. What
    a `flask_smorest.Api` of the application documents is in its own document.
    """
    from itemsapi.rest import Api  # noqa: PLC0415 - not for its help
    from itemsapi.rest.openapi.document import current_document  # noqa: PLC0415
    from itemsapi.rest.openapi.host_documents import titles_of_documents  # noqa: PLC0415

    app = application()
    with app.app_context():
        file.write(current_document().body + b"\n")
    for title in titles_of_documents(app, Api):
        words = f"the operations of the Api {title!r} are not in it, but in its own document"
        print_lines(f"itemsapi: {words}: flask openapi write FILE", err=True)
