"""A client under load that knows what the service must return.

It performs one action after another, and repeats each request until it gets a complete response
other than 503. No other client changes its items, so it always knows their state. An action without
a response (the connection broke, or a 503 came after the work may have been done) may have been
done or not, but never twice.
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

from itemsapi.testing import PASSWORD
from support.service import CONNECTION_ERRORS

RECOVERY_TIMEOUT_SECONDS = 60.0  # without a response
MAX_PAUSE_SECONDS = 0.3  # between two actions, at most
MAX_ITEMS = 30  # per client
LOSS_RATE = 0.03  # share of responses lost in the client's own network


class GaveUp(Exception):
    """The service did not recover."""


@dataclass(frozen=True)
class Outcome:
    """A complete response; `unsure` says that an earlier attempt may have done the work already."""

    status: int
    body: dict[str, Any]
    version: int
    unsure: bool


@dataclass(frozen=True)
class ExpectedItem:
    """The expected state of an item."""

    name: str
    quantity: int
    version: int


@dataclass(frozen=True)
class Tokens:
    """The tokens of a login or a refresh."""

    access: str
    refresh: str


@dataclass(frozen=True)
class ClientConfig:
    """A user, its address, its session, and the seed of its choices."""

    name: str
    address: str
    tokens: Tokens
    seed: int


class Client(threading.Thread):
    """One user with one session, who performs random actions until stopped.

    `faults` describes all violations.
    """

    def __init__(self, who: ClientConfig, port: int, stop: threading.Event) -> None:
        """Take the user, and the port of the service."""
        super().__init__(name=who.name)
        self.random = random.Random(f"{who.seed}/{who.name}")  # noqa: S311 - no secret
        self.address, self.tokens = who.address, who.tokens
        self.port, self.stopping = port, stop
        self.http: http.client.HTTPConnection | None = None
        self.items: dict[str, ExpectedItem] = {}
        self.ended: list[Tokens] = []
        self.faults: list[str] = []
        self.actions_done: Counter[str] = Counter()
        self.count = 0

    def run(self) -> None:
        """Perform actions until stopped; then check the final state."""
        try:
            while not self.stopping.wait(self.random.uniform(0, MAX_PAUSE_SECONDS)):
                self.choose_action()()
            for final_action in (self.list_items, self.refresh_tokens, self.list_items):
                final_action()
        except GaveUp as error:
            self.faults.append(f"no response in {RECOVERY_TIMEOUT_SECONDS:.0f} s to {error}")
        except Exception as error:  # noqa: BLE001 - a thread's error must fail the test
            self.faults.append(repr(error))
        finally:
            self.close_connection()

    def choose_action(self) -> Callable[[], None]:
        """Choose the next action."""
        weights = {self.list_items: 20, self.refresh_tokens: 10, self.sign_out: 1}
        if len(self.items) < MAX_ITEMS:
            weights[self.create] = 20
        if self.items:
            weights |= {self.show: 15, self.change: 25, self.delete: 10}
        action = self.random.choices(list(weights), list(weights.values()))[0]
        self.actions_done[action.__name__] += 1
        return action

    def create(self) -> None:
        """Create an item, with retries under one idempotency key."""
        self.count += 1
        item_fields = {"name": f"{self.name} {self.count}", "quantity": self.count}
        body = item_fields | {"price": "1", "currency": "EUR", "sku": f"S{self.count}"}
        outcome = self.send_until_complete(
            "POST", "/items", body, key=f"key-{self.name}-{self.count}"
        )
        if self.expect(outcome, "create", outcome.status == 201, outcome.version == 1):
            self.items[outcome.body["id"]] = ExpectedItem(**item_fields, version=1)  # type: ignore[arg-type]  # a string and a number

    def show(self) -> None:
        """Read an item."""
        item_id, expected = self.random_item()
        outcome = self.send_until_complete("GET", f"/items/{item_id}")
        self.expect(
            outcome, f"show {expected}", outcome.status == 200, self.item_of(outcome) == expected
        )

    def change(self) -> None:
        """Change an item.

        412 is valid if an earlier attempt changed it; the item must show that.
        """
        item_id, expected = self.random_item()
        self.count += 1
        after = ExpectedItem(expected.name, self.count, expected.version + 1)
        body, version = {"quantity": after.quantity}, f'"v{expected.version}"'
        outcome = self.send_until_complete("PATCH", f"/items/{item_id}", body, version=version)
        if outcome.status == 412 and outcome.unsure:
            self.actions_done["changed unknowingly"] += 1
            outcome = self.send_until_complete("GET", f"/items/{item_id}")
        self.expect(
            outcome, f"change to {after}", outcome.status == 200, self.item_of(outcome) == after
        )
        self.items[item_id] = after

    def delete(self) -> None:
        """Delete an item. 404 is valid if an earlier attempt deleted it."""
        item_id, expected = self.random_item()
        outcome = self.send_until_complete(
            "DELETE", f"/items/{item_id}", version=f'"v{expected.version}"'
        )
        self.actions_done["deleted unknowingly"] += outcome.status == 404
        self.expect(
            outcome, "delete", outcome.status == 204 or (outcome.status == 404 and outcome.unsure)
        )
        del self.items[item_id]

    def list_items(self) -> None:
        """Read all pages of the list: it has exactly the expected items."""
        found: dict[str, tuple[str, int]] = {}
        sort, limit = self.random.choice(["name", "-updated_at", "quantity"]), 7
        cursor: str | None = ""
        while cursor is not None:
            more = f"&cursor={cursor}" if cursor else ""
            outcome = self.send_until_complete("GET", f"/items?sort={sort}&limit={limit}{more}")
            if not self.expect(outcome, "list", outcome.status == 200):
                return
            found |= {
                random_item["id"]: (random_item["name"], random_item["quantity"])
                for random_item in outcome.body["items"]
            }
            cursor = outcome.body["next_cursor"]
        expected_items = {
            item_id: (expected.name, expected.quantity) for item_id, expected in self.items.items()
        }
        if found != expected_items:
            lost, unexpected = (
                expected_items.items() - found.items(),
                found.items() - expected_items.items(),
            )
            self.faults.append(f"list: lost {sorted(lost)}, odd {sorted(unexpected)}")

    def refresh_tokens(self) -> None:
        """Refresh with one attempt id; without a new refresh token the current one stays valid."""
        attempt = f"attempt-{self.random.getrandbits(128):032x}"
        body = {"refresh_token": self.tokens.refresh}
        outcome = self.send_until_complete("POST", "/auth/refresh", body, key=attempt, bearer="")
        if self.expect(outcome, "refresh", outcome.status == 200):
            self.store_tokens(outcome)

    def sign_out(self) -> None:
        """Sign out, check that the session has ended, and sign in again."""
        body = {"refresh_token": self.tokens.refresh}
        outcome = self.send_until_complete("POST", "/auth/logout", body, bearer="")
        self.expect(outcome, "sign out", outcome.status == 204)
        self.ended.append(self.tokens)
        outcome = self.send_until_complete("POST", "/auth/refresh", body, bearer="")
        self.expect(outcome, "refresh after signing out", outcome.status == 401)
        self.sign_in()

    def sign_in(self) -> None:
        """Sign in with the password."""
        body = {"username": self.name, "password": PASSWORD}
        outcome = self.send_until_complete("POST", "/auth/login", body, bearer="")
        if self.expect(outcome, "sign in", outcome.status == 200):
            self.store_tokens(outcome)

    def store_tokens(self, outcome: Outcome) -> None:
        """Store the tokens of a response."""
        refresh = outcome.body.get("refresh_token", self.tokens.refresh)
        self.tokens = Tokens(outcome.body["access_token"], refresh)

    def random_item(self) -> tuple[str, ExpectedItem]:
        """Choose one of the items."""
        return self.random.choice(list(self.items.items()))

    def item_of(self, outcome: Outcome) -> ExpectedItem:
        """Return the item of a response."""
        return ExpectedItem(
            outcome.body.get("name", ""), outcome.body.get("quantity", -1), outcome.version
        )

    def expect(self, outcome: Outcome, what: str, *right: bool) -> bool:
        """Record a violation unless all conditions are true."""
        if not all(right):
            self.faults.append(f"{what}: {outcome}")
        return all(right)

    def send_until_complete(
        self, method: str, path: str, body: object = None, **options: str
    ) -> Outcome:
        """Send until there is a complete response other than 503. Raise `GaveUp`.

        `options`: `key` and `version`, and a `bearer` other than the session's.
        """
        unsure, deadline = False, time.monotonic() + RECOVERY_TIMEOUT_SECONDS
        headers = _headers({"bearer": self.tokens.access} | options)
        while True:
            try:
                status, fields, version = self.call(method, path, body, headers)
            except CONNECTION_ERRORS:
                self.close_connection()
                self.actions_done["unanswered"] += 1
            else:
                if status != 503:
                    return Outcome(status, fields, version, unsure)
                self.actions_done["503"] += 1
            unsure = True
            if time.monotonic() > deadline:
                raise GaveUp(f"{method} {path}")
            time.sleep(self.random.uniform(0, 0.3))

    def call(
        self, method: str, path: str, body: object, headers: dict[str, str]
    ) -> tuple[int, dict[str, Any], int]:
        """Send once; return status, body and version. Raise one of `CONNECTION_ERRORS`."""
        if self.http is None:
            self.http = http.client.HTTPConnection(
                "127.0.0.1", self.port, timeout=20, source_address=(self.address, 0)
            )
        self.http.request(method, path, None if body is None else json.dumps(body), headers)
        if self.random.random() < LOSS_RATE:
            raise ConnectionAbortedError
        response = self.http.getresponse()
        raw = response.read()
        fields = json.loads(raw) if raw else {}
        return response.status, fields, int(response.headers.get("ETag", '"v0"').strip('"v'))

    def close_connection(self) -> None:
        """Close the connection, if there is one."""
        if self.http is not None:
            self.http.close()
            self.http = None


def _headers(options: dict[str, str]) -> dict[str, str]:
    """Return the headers for these options; empty ones are omitted."""
    sent = {
        "Authorization": options["bearer"] and f"Bearer {options['bearer']}",
        "Idempotency-Key": options.get("key", ""),
        "If-Match": options.get("version", ""),
    }
    return {"Content-Type": "application/json"} | {n: value for n, value in sent.items() if value}
