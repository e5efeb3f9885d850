"""An application of this service with users and items, and the requests that are measured on it."""

import cProfile
import json
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import Any

from bench.dataset import PAGE, PASSWORD, items_of, user_names
from bench.in_process import Environ, addresses, environ, microseconds, send, send_json
from bench.service_data import fill
from itemsapi import create_app
from itemsapi.services import EXTENSION
from itemsapi.settings import Settings
from itemsapi.testing.tokens import access_token, decode_part
from itemsapi.tokens.scopes import ITEMS_READ

USERS, ITEMS = 20, 250
NO_LIMIT = "100000000/minute"  # counted as always, and never reached


class Workload:
    """Random pages, items and users; `list_requests` and `item_requests` never end."""

    def __init__(self, folder: Path) -> None:
        """Fill a database in a folder; sign in as each user, and walk their pages."""
        self.app = create_app(Settings(data_dir=folder, rate_limit=NO_LIMIT))
        fill(self.app.extensions[EXTENSION], USERS, ITEMS)
        self._addresses = addresses()
        self._grants = [self._sign_in(name) for name in user_names(USERS)]
        self._ids = [[item.id for item in items_of(user, ITEMS)] for user in range(USERS)]
        self._users = cycle(range(USERS))
        random = Random(1)  # noqa: S311 - no secret
        lists, items = [*self._every_page()], [*self._every_item()]
        random.shuffle(lists)
        random.shuffle(items)
        self._list_requests, self._item_requests = cycle(lists), cycle(items)

    def measure(self, case: str, count: int) -> float:
        """Return the processor time of a request in microseconds: the mean of `count` requests."""
        if case == "refresh":
            return sum(self._timed_refresh() for _ in range(count)) / count
        return microseconds(self.app, self.requests(case, count))

    def requests(self, case: str, count: int) -> list[Environ]:
        """Return the next requests of a case; a refresh depends on the one before."""
        return [*islice(self._requests(case), count)]

    def profile(self, case: str, count: int) -> cProfile.Profile:
        """Return the profile of some requests."""
        if case == "refresh":
            requests = [self._refresh_request(user) for user in range(USERS)]
        else:
            requests = self.requests(case, count)
        profile = cProfile.Profile()
        profile.runcall(microseconds, self.app, requests)
        return profile

    def close(self) -> None:
        """Close the database."""
        self.app.extensions[EXTENSION].database.dispose()

    def _requests(self, case: str) -> Iterator[Environ]:
        requests: dict[str, Iterator[Environ]] = {
            "list": self._list_requests,
            "one": self._item_requests,
            "first-use": self._first_uses(),
            "after-refresh": self._uses_after_refresh(),
            "login": map(self._sign_in_request, cycle(user_names(USERS))),
        }
        return requests[case]

    def _sign_in(self, name: str) -> dict[str, Any]:
        grant: dict[str, Any] = json.loads(send(self.app, self._sign_in_request(name)))
        return grant

    def _sign_in_request(self, name: str) -> Environ:
        body = {"username": name, "password": PASSWORD}
        return environ("POST", "/auth/login", body=body, address=next(self._addresses))

    def _every_page(self) -> Iterator[Environ]:
        for grant in self._grants:
            token, cursor = grant["access_token"], ""
            while cursor is not None:
                path = f"/items?limit={PAGE}" + (f"&cursor={cursor}" if cursor else "")
                yield environ("GET", path, token=token)
                cursor = send_json(self.app, "GET", path, token=token)["next_cursor"]

    def _every_item(self) -> Iterator[Environ]:
        for grant, ids in zip(self._grants, self._ids, strict=True):
            for item_id in ids:
                yield environ("GET", f"/items/{item_id}", token=grant["access_token"])

    def _first_uses(self) -> Iterator[Environ]:
        """Yield requests with an access token that no request had before."""
        for user in self._users:
            token = access_token(self.app, [ITEMS_READ], user_id=self._user_id(user))
            yield environ("GET", f"/items/{self._ids[user][0]}", token=token)

    def _uses_after_refresh(self) -> Iterator[Environ]:
        """Yield requests with the first access token after a refresh."""
        for user in self._users:
            self._timed_refresh(user)
            token = self._grants[user]["access_token"]
            yield environ("GET", f"/items/{self._ids[user][0]}", token=token)

    def _user_id(self, user: int) -> str:
        return str(decode_part(self._grants[user]["access_token"], 1)["sub"])

    def _timed_refresh(self, user: int | None = None) -> float:
        """Refresh the session of a user; return the microseconds of the request."""
        user = next(self._users) if user is None else user
        request = self._refresh_request(user)
        start = time.process_time()
        answer = send(self.app, request)
        seconds = time.process_time() - start
        self._grants[user] = json.loads(answer)
        return seconds * 1e6

    def _refresh_request(self, user: int) -> Environ:
        body = {"refresh_token": self._grants[user]["refresh_token"]}
        return environ("POST", "/auth/refresh", body=body)
