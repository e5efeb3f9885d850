"""Requests to an application whose views are stopped, and what became of each.

While `StoppedViews` is active, every view of the application is replaced by one that only notes
that it was called. Everything in front of it is the application's own: its WSGI middleware, the
routing, the gate with its rulebook and its guard around each view, and the hooks. So a view that is
noted would have run, and none does: an attack on `DELETE /orders/1` deletes nothing.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any

from flask import Flask, Response, request, request_finished
from flask.signals import got_request_exception
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from itemsapi.gate.gate import Gate
from itemsapi.gate.guarded_views import ADMITTED, GuardedViews
from itemsapi.problems import REALM
from itemsapi.testing.targets import Target

FIRST_ADDRESS = int(IPv4Address("198.18.0.0"))  # for benchmarks (RFC 2544): each request has one
ADDRESSES = 2**17
ERROR = re.compile('error="([a-z_]+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a request.

    `status`: None if the application raised instead of responding. `challenge`: whether the
    response has the gate's `WWW-Authenticate`, and `error` what it says. `admitted`: whether the
    gate let the request in. `reached`: the endpoint and method of the view that would have run.
    """

    status: int | None
    challenge: bool = False
    error: str | None = None
    admitted: bool = False
    reached: tuple[str, str] | None = None
    raised: str | None = None

    def __str__(self) -> str:
        """Return the outcome in some words."""
        if self.reached:
            return f"reached the view {self.reached[1]} {self.reached[0]}"
        passed = "passed the gate, " if self.admitted else ""
        answer = f"raised {self.raised}" if self.status is None else f"{self.status}"
        is_foreign = self.status in {401, 403} and not self.challenge
        detail = "without the challenge of the gate" if is_foreign else self.error or ""
        return f"{passed}{answer} {detail}".rstrip()


@dataclass
class _Observation:
    admitted: bool = False
    reached: tuple[str, str] | None = None
    raised: str | None = None


@dataclass
class StoppedViews:
    """An application whose views are stopped, see the module; use `active` to stop them."""

    app: Flask
    gate: Gate
    _seen: _Observation = field(default_factory=_Observation)
    _addresses: Iterator[int] = field(default_factory=lambda: itertools.cycle(range(ADDRESSES)))

    @contextmanager
    def active(self) -> Iterator[None]:
        """Stop the views of the application until the end of the block."""
        guarded, found = self._guarded_views(), self.app.view_functions
        at_boot = {name for name, view in found.items() if guarded.is_from_boot(name, view)}
        stopped = GuardedViews(
            self.app, {name: self._stop(name) for name in at_boot}, self.gate.respond
        )
        stopped.update({name: self._stop(name) for name in found if name not in at_boot})
        self.gate.views = stopped
        self.app.view_functions = stopped if found is guarded else dict(stopped)
        try:
            with (
                request_finished.connected_to(self._observe, sender=self.app),
                got_request_exception.connected_to(self._observe, sender=self.app),
            ):
                yield
        finally:
            self.gate.views, self.app.view_functions = guarded, found

    def send(  # noqa: PLR0913 - the parts of a request
        self,
        target: Target,
        method: str,
        *,
        path: str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Send a request, from an address of its own.

        `path` replaces that of the target; it is not encoded.
        """
        self._seen = _Observation()
        client = FlaskClient(self.app, self.app.response_class, use_cookies=False)
        address = str(IPv4Address(FIRST_ADDRESS + next(self._addresses)))
        overrides: dict[str, Any] = {"REMOTE_ADDR": address}
        if path is not None:  # as a server passes it on: a URL parser would change it first
            overrides["PATH_INFO"] = path.encode().decode("latin-1")  # PEP 3333
        try:
            response = client.open(
                target.path,
                method=method,
                base_url=target.base_url,
                headers=dict(headers or {}),
                query_string=dict(query or {}),
                data=dict(form) if form else None,
                environ_overrides=overrides,
                buffered=True,
            )
        except Exception as error:  # noqa: BLE001 - the application may raise anything
            return self._outcome(None, error)
        return self._outcome(response, None)

    def _guarded_views(self) -> GuardedViews:
        if self.gate.views is None:
            raise RuntimeError(f"{self.app.name} is not sealed; call AuthLayer.seal(app) first")
        return self.gate.views

    def _stop(self, endpoint: str) -> "_StoppedView":
        return _StoppedView(endpoint, self)

    def note_view(self, endpoint: str) -> None:
        """Note that a view would have run."""
        self._seen.reached = (endpoint, request.method)

    def _observe(self, _app: Flask, exception: BaseException | None = None, **_: object) -> None:
        self._seen.admitted = getattr(request, ADMITTED, None) is not None
        if exception is not None:
            self._seen.raised = type(exception).__name__

    def _outcome(self, response: TestResponse | None, error: Exception | None) -> Outcome:
        header = response.headers.get("WWW-Authenticate", "") if response else ""
        error_code = ERROR.search(header)
        return Outcome(
            status=response.status_code if response else None,
            challenge=f'realm="{REALM}"' in header,
            error=error_code[1] if error_code else None,
            admitted=self._seen.admitted,
            reached=self._seen.reached,
            raised=type(error).__name__ if error else self._seen.raised,
        )


@dataclass(frozen=True, slots=True)
class _StoppedView:
    """Stands where a view was; notes each call."""

    endpoint: str
    requests: StoppedViews

    def __call__(self, **_: object) -> Response:
        self.requests.note_view(self.endpoint)
        return Response(status=204)
