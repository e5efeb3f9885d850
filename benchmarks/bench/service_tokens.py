"""Access tokens of this service that no request has had."""

from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path

from rich.console import Console
from rich.progress import track

from itemsapi import create_app
from itemsapi.services import EXTENSION
from itemsapi.settings import Settings
from itemsapi.testing.tokens import access_token, decode_part
from itemsapi.tokens.scopes import ITEMS_READ


def service_tokens(folder: Path, authorizations: Sequence[str], count: int) -> Iterator[str]:
    """Yield headers `Authorization` for the users of others, in turn, each with its own token.

    `folder` is the data folder of the service, with the key that signs.
    """
    app = create_app(Settings(data_dir=folder))
    users = [decode_part(header.removeprefix("Bearer "), 1)["sub"] for header in authorizations]
    for user in track([*islice(cycle(users), count)], "signing", console=Console(stderr=True)):
        yield f"Bearer {access_token(app, [ITEMS_READ], user_id=user)}"
    app.extensions[EXTENSION].database.dispose()
