"""Tell whether the service is alive and ready to answer.

No rate limit counts this: a load balancer asks from one address, for everybody behind it.
"""

from itemsapi.gate.decorators import public
from itemsapi.problems import Unavailable
from itemsapi.rest import Blueprint, Schema, fields
from itemsapi.services import services

blueprint = Blueprint("health", __name__, url_prefix="/health")

WHY = "a load balancer has no token; the answer is one word"


class Health(Schema):
    """One word: it tells nothing about versions or the database (S-160)."""

    status = fields.String(required=True)


@blueprint.get("/live")
@public(WHY, limited=False)
@blueprint.response(200, Health(), example={"status": "ok"})
def live() -> object:
    """Tell that the process answers."""
    return {"status": "ok"}


@blueprint.get("/ready")
@public(WHY, limited=False)
@blueprint.response(200, Health(), example={"status": "ok"})
@blueprint.alt_response(Unavailable)
def ready() -> object:
    """Tell that the database takes changes, and keys and revocation feed are at hand."""
    services().database.require_writable()
    services().key_set.snapshot()
    services().revocation_feed.ensure_fresh()
    return {"status": "ok"}
