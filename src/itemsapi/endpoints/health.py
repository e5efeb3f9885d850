"""Health checks: whether the process is alive, and whether the service is ready.

They have no rate limit, because a load balancer sends them from one address for all clients.
"""

from itemsapi.endpoints import groups
from itemsapi.gate.decorators import public
from itemsapi.problems import Unavailable
from itemsapi.rest import Blueprint, Schema, fields
from itemsapi.services import services

blueprint = Blueprint(
    "health", __name__, url_prefix="/health", title="Health checks", group=groups.MONITORING
)

PUBLIC_REASON = "a load balancer has no token; the response contains no details"


class Health(Schema):
    """The status only: no version and nothing about the database (S-160)."""

    status = fields.String(required=True)


@blueprint.get("/live")
@public(PUBLIC_REASON, limited=False)
@blueprint.response(200, Health(), example={"status": "ok"})
def live() -> object:
    """Check that the process responds."""
    return {"status": "ok"}


@blueprint.get("/ready")
@public(PUBLIC_REASON, limited=False)
@blueprint.response(200, Health(), example={"status": "ok"})
@blueprint.alt_response(Unavailable)
def ready() -> object:
    """Check the database, its schema, the keys and the revocations.

    Ready means: it accepts writes, its tables are not older than this version needs, the keys are
    loaded, and the revocations are up to date.
    """
    services().database.require_writable()
    services().schema_probe.require_usable()
    services().key_set.snapshot()
    services().revocation_feed.ensure_fresh()
    return {"status": "ok"}
