"""Metrics for Prometheus: with a scope, or for everybody where the operator says so."""

from flask import Response

from itemsapi.gate.decorators import public, requires
from itemsapi.observability.metrics import render_metrics, set_feed_age
from itemsapi.rest import Blueprint
from itemsapi.services import services
from itemsapi.settings import Settings
from itemsapi.tokens.scopes import METRICS_READ

WHY = "ITEMSAPI_METRICS=public: the network keeps strangers out"


def page(settings: Settings) -> Blueprint:
    """Make the page with the rule that the settings ask for."""
    made = Blueprint("metrics", __name__)
    rule = public(WHY) if settings.metrics == "public" else requires(METRICS_READ)

    @made.get("/metrics")
    @rule
    @made.response(200, {"type": "string"}, content_type="text/plain")
    def show_metrics() -> Response:
        """Show the metrics in Prometheus' text format."""
        set_feed_age(services().revocation_feed.age)
        return Response(render_metrics(), content_type="text/plain; version=0.0.4; charset=utf-8")

    return made
