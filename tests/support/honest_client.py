"""An honest client under load: what it does, what it was told, and what must be true because of it.

It does one thing after another and asks again, with the same words, until a whole answer comes that
is no 503. Nobody else touches its items, so it knows at any moment what the service must show it.
Whatever it was not told for sure (the connection broke, or a 503 came after the work may have been
done) it may find done or not done, and never done twice.
"""

import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from support.app_factory import PASSWORD
from support.service import CONNECTION_ERRORS

PATIENCE = 60.0  # seconds until a client believes that the service never comes back
PAUSE = 0.3  # seconds between two things, at most
MOST = 30  # items of one client
LOST = 0.03  # of all answers: the client's own network breaks, and it asks again at once


class GaveUp(Exception):
    """The service did not come back."""


@dataclass(frozen=True)
class Heard:
    """A whole answer; `unsure` says that an earlier try may have done the work already."""

    status: int
    body: dict[str, Any]
    version: int
    unsure: bool


@dataclass(frozen=True)
class Known:
    """An item as it must be."""

    name: str
    quantity: int
    version: int


@dataclass(frozen=True)
class Tokens:
    """What a sign-in or a refresh gave."""

    access: str
    refresh: str


@dataclass(frozen=True)
class Who:
    """A user: where from, the session that was opened, and what makes the choices."""

    name: str
    address: str
    tokens: Tokens
    seed: int


class Client(threading.Thread):
    """One user with one session, who does this and that until told to stop.

    `faults` is what must not have happened, in words.
    """

    def __init__(self, who: Who, port: int, stop: threading.Event) -> None:
        """Take who it is, and where the service is."""
        super().__init__(name=who.name)
        self.random = random.Random(f"{who.seed}/{who.name}")  # noqa: S311 - no secret
        self.address, self.tokens = who.address, who.tokens
        self.port, self.stopping = port, stop
        self.http: http.client.HTTPConnection | None = None
        self.items: dict[str, Known] = {}
        self.ended: list[Tokens] = []
        self.faults: list[str] = []
        self.did: Counter[str] = Counter()
        self.count = 0

    def run(self) -> None:
        """Work until told to stop; then look at everything once more."""
        try:
            while not self.stopping.wait(self.random.uniform(0, PAUSE)):
                self.chosen()()
            for last in (self.walk, self.renew, self.walk):
                last()
        except GaveUp as error:
            self.faults.append(f"no answer in {PATIENCE:.0f} s to {error}")
        except Exception as error:  # noqa: BLE001 - a thread's error must reach the judge
            self.faults.append(repr(error))
        finally:
            self.hang_up()

    def chosen(self) -> Callable[[], None]:
        """Choose what to do next."""
        acts = {self.walk: 20, self.renew: 10, self.leave: 1}
        if len(self.items) < MOST:
            acts[self.make] = 20
        if self.items:
            acts |= {self.show: 15, self.change: 25, self.remove: 10}
        act = self.random.choices(list(acts), list(acts.values()))[0]
        self.did[act.__name__] += 1
        return act

    def make(self) -> None:
        """Create an item, once however often it is asked for."""
        self.count += 1
        wanted = {"name": f"{self.name} {self.count}", "quantity": self.count}
        body = wanted | {"price": "1", "currency": "EUR", "sku": f"S{self.count}"}
        heard = self.ask("POST", "/items", body, key=f"key-{self.name}-{self.count}")
        if self.expect(heard, "create", heard.status == 201, heard.version == 1):
            self.items[heard.body["id"]] = Known(**wanted, version=1)  # type: ignore[arg-type]  # a string and a number

    def show(self) -> None:
        """Look at an item."""
        item_id, known = self.one()
        heard = self.ask("GET", f"/items/{item_id}")
        self.expect(heard, f"show {known}", heard.status == 200, self.shown(heard) == known)

    def change(self) -> None:
        """Change an item. 412 is right if an earlier try did it; the item then tells so."""
        item_id, known = self.one()
        self.count += 1
        after = Known(known.name, self.count, known.version + 1)
        body, version = {"quantity": after.quantity}, f'"v{known.version}"'
        heard = self.ask("PATCH", f"/items/{item_id}", body, version=version)
        if heard.status == 412 and heard.unsure:
            self.did["changed unknowingly"] += 1
            heard = self.ask("GET", f"/items/{item_id}")
        self.expect(heard, f"change to {after}", heard.status == 200, self.shown(heard) == after)
        self.items[item_id] = after

    def remove(self) -> None:
        """Delete an item. 404 is right if an earlier try did it."""
        item_id, known = self.one()
        heard = self.ask("DELETE", f"/items/{item_id}", version=f'"v{known.version}"')
        self.did["deleted unknowingly"] += heard.status == 404
        self.expect(heard, "delete", heard.status == 204 or (heard.status == 404 and heard.unsure))
        del self.items[item_id]

    def walk(self) -> None:
        """Read all pages of the list: what is there, no more and no less."""
        found: dict[str, tuple[str, int]] = {}
        sort, limit = self.random.choice(["name", "-updated_at", "quantity"]), 7
        cursor: str | None = ""
        while cursor is not None:
            more = f"&cursor={cursor}" if cursor else ""
            heard = self.ask("GET", f"/items?sort={sort}&limit={limit}{more}")
            if not self.expect(heard, "list", heard.status == 200):
                return
            found |= {one["id"]: (one["name"], one["quantity"]) for one in heard.body["items"]}
            cursor = heard.body["next_cursor"]
        due = {item_id: (known.name, known.quantity) for item_id, known in self.items.items()}
        if found != due:
            lost, odd = due.items() - found.items(), found.items() - due.items()
            self.faults.append(f"list: lost {sorted(lost)}, odd {sorted(odd)}")

    def renew(self) -> None:
        """Refresh, as one attempt; without a new refresh token the one at hand stays good."""
        attempt = f"attempt-{self.random.getrandbits(128):032x}"
        body = {"refresh_token": self.tokens.refresh}
        heard = self.ask("POST", "/auth/refresh", body, key=attempt, bearer="")
        if self.expect(heard, "refresh", heard.status == 200):
            self.take(heard)

    def leave(self) -> None:
        """Sign out, see that the session is over, and sign in anew."""
        body = {"refresh_token": self.tokens.refresh}
        heard = self.ask("POST", "/auth/logout", body, bearer="")
        self.expect(heard, "sign out", heard.status == 204)
        self.ended.append(self.tokens)
        heard = self.ask("POST", "/auth/refresh", body, bearer="")
        self.expect(heard, "refresh after signing out", heard.status == 401)
        self.sign_in()

    def sign_in(self) -> None:
        """Sign in with the password."""
        body = {"username": self.name, "password": PASSWORD}
        heard = self.ask("POST", "/auth/login", body, bearer="")
        if self.expect(heard, "sign in", heard.status == 200):
            self.take(heard)

    def take(self, heard: Heard) -> None:
        """Keep the tokens of an answer."""
        refresh = heard.body.get("refresh_token", self.tokens.refresh)
        self.tokens = Tokens(heard.body["access_token"], refresh)

    def one(self) -> tuple[str, Known]:
        """Choose one of the items."""
        return self.random.choice(list(self.items.items()))

    def shown(self, heard: Heard) -> Known:
        """Return the item of an answer."""
        return Known(heard.body.get("name", ""), heard.body.get("quantity", -1), heard.version)

    def expect(self, heard: Heard, what: str, *right: bool) -> bool:
        """Note a fault unless all is right."""
        if not all(right):
            self.faults.append(f"{what}: {heard}")
        return all(right)

    def ask(self, method: str, path: str, body: object = None, **said: str) -> Heard:
        """Ask until there is a whole answer that is no 503. Raises `GaveUp`.

        What is said beside: `key` and `version`, and another `bearer` than the session's.
        """
        unsure, ends = False, time.monotonic() + PATIENCE
        headers = _headers({"bearer": self.tokens.access} | said)
        while True:
            try:
                status, fields, version = self.call(method, path, body, headers)
            except CONNECTION_ERRORS:
                self.hang_up()
                self.did["unanswered"] += 1
            else:
                if status != 503:
                    return Heard(status, fields, version, unsure)
                self.did["503"] += 1
            unsure = True
            if time.monotonic() > ends:
                raise GaveUp(f"{method} {path}")
            time.sleep(self.random.uniform(0, 0.3))

    def call(
        self, method: str, path: str, body: object, headers: dict[str, str]
    ) -> tuple[int, dict[str, Any], int]:
        """Ask once; return status, body and version. Raises one of `AWAY`."""
        if self.http is None:
            self.http = http.client.HTTPConnection(
                "127.0.0.1", self.port, timeout=20, source_address=(self.address, 0)
            )
        self.http.request(method, path, None if body is None else json.dumps(body), headers)
        if self.random.random() < LOST:
            raise ConnectionAbortedError
        answer = self.http.getresponse()
        raw = answer.read()
        fields = json.loads(raw) if raw else {}
        return answer.status, fields, int(answer.headers.get("ETag", '"v0"').strip('"v'))

    def hang_up(self) -> None:
        """Close the connection, if there is one."""
        if self.http is not None:
            self.http.close()
            self.http = None


def _headers(said: dict[str, str]) -> dict[str, str]:
    """Return the headers that say this; what is empty is left out."""
    sent = {
        "Authorization": said["bearer"] and f"Bearer {said['bearer']}",
        "Idempotency-Key": said.get("key", ""),
        "If-Match": said.get("version", ""),
    }
    return {"Content-Type": "application/json"} | {n: value for n, value in sent.items() if value}
