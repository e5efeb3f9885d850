"""Metrics for Prometheus: with a scope, or public if the operator sets that."""

from flask import Response

from itemsapi.endpoints import groups
from itemsapi.extras import extra
from itemsapi.gate.api_keys import API_KEY
from itemsapi.gate.decorators import public, requires
from itemsapi.gate.rules import ACCESS_TOKEN
from itemsapi.observability.metrics import count_in
from itemsapi.rest import Blueprint
from itemsapi.services import services
from itemsapi.settings import Settings
from itemsapi.tokens.scopes import METRICS_READ

CREDENTIALS = (ACCESS_TOKEN, API_KEY)  # a scraper cannot refresh
PUBLIC_REASON = "ITEMSAPI_METRICS=public: the network restricts access"


def create_blueprint(settings: Settings) -> Blueprint:
    """Create the blueprint with the access rule of the settings, and start counting.

    Raise `ExtraMissing` without prometheus-client.
    """
    with extra("metrics", "GET /metrics"):
        from itemsapi.observability import prometheus  # noqa: PLC0415 - an extra
    count_in(prometheus)
    blueprint = Blueprint("metrics", __name__, group=groups.MONITORING)
    rule = (
        public(PUBLIC_REASON)
        if settings.metrics == "public"
        else requires(METRICS_READ, by=CREDENTIALS)
    )

    @blueprint.get("/metrics")
    @rule
    @blueprint.response(200, {"type": "string"}, content_type="text/plain")
    def show_metrics() -> Response:
        """Show the metrics in the text format of Prometheus."""
        prometheus.set_feed_age(services().revocation_feed.age)
        return Response(
            prometheus.render_metrics(), content_type="text/plain; version=0.0.4; charset=utf-8"
        )

    return blueprint
