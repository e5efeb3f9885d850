"""Views with a rule on an application that has no gate: they are refused, not open.

A decorator only marks its view. Whoever forgets `AuthLayer(app)`, or `init_app`, would otherwise
serve the view to everybody and notice nothing.
"""

from typing import Final

from flask import Flask, request, request_started
from werkzeug.exceptions import ServiceUnavailable

from itemsapi.gate.rulebook import collect_rules
from itemsapi.observability.logging import log

GATE: Final = "itemsapi.gate"  # of the extensions of an application


def refuse_without_gate(app: Flask, **_: object) -> None:
    """Raise a 503 for a view that needs a caller, unless the application has a gate."""
    gate = app.extensions.get(GATE)  # a copy of an application may share the extensions with it
    if (gate is not None and gate.app is app) or request.endpoint is None:
        return
    rules = collect_rules(app.view_functions.get(request.endpoint), request.method)
    if any(rule.kind != "public" for rule in rules):
        log.error("gate_missing", endpoint=request.endpoint, hint="write AuthLayer(app)")
        raise ServiceUnavailable("This view has an access rule, but its application has no gate.")


request_started.connect(refuse_without_gate)  # of any application
