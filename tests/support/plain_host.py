"""A plain Flask application of somebody else, with the layer around it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask
from flask_jwt_extended import get_jwt

from itemsapi import Scope, public, requires, signed_in
from itemsapi.composition import Services
from itemsapi.extension import AuthLayer
from itemsapi.gate.caller import optional_caller
from itemsapi.services import EXTENSION
from itemsapi.testing import MovableClock, create_tables, testing_settings

ORDERS_READ = Scope("orders:read", "See orders")
ORDERS_WRITE = Scope("orders:write", "Place and cancel orders")
GUARDED = {
    *("GET /orders", "HEAD /orders", "DELETE /orders/<int:number>"),
    *("GET /whoami", "HEAD /whoami"),
}


class PlainHost:
    """The application, its layer and its clock; `calls` are the views that ran."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        """Build the application with these changes of the settings, and create the tables."""
        self.calls: list[str] = []
        self.clock = MovableClock()
        self.app = Flask("shop", static_folder=None)
        self.app.testing = True
        self.app.get("/status")(public("load balancers ask")(self.view("show_status")))
        settings = testing_settings(folder, **changes)
        self.layer = AuthLayer(self.app, settings=settings, clock=self.clock)
        self.app.get("/orders")(requires(ORDERS_READ)(self.view("list_orders")))
        both_scopes = requires(ORDERS_READ, ORDERS_WRITE)
        self.app.delete("/orders/<int:number>")(both_scopes(self.view("cancel_order")))
        self.app.get("/whoami")(signed_in(self.view("show_caller")))
        self.services: Services = self.app.extensions[EXTENSION]
        create_tables(self.app)

    def view(self, name: str) -> Callable[..., Any]:
        """Return a view that notes its call, and responds with the claims of the caller."""

        def view(**_: object) -> dict[str, object]:
            self.calls.append(name)
            return dict(get_jwt()) if optional_caller() else {}

        view.__name__ = name
        return view
