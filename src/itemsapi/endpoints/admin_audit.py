"""The audit trail, for operators: who did what, when, and from where."""

import json
from typing import Any

from marshmallow import validate

from itemsapi.gate.decorators import requires
from itemsapi.page_size import fitting_rows
from itemsapi.rest import Blueprint, PageQuery, Schema, fields, list_schema
from itemsapi.services import services
from itemsapi.tokens.scopes import AUDIT_READ

blueprint = Blueprint("audit", __name__, url_prefix="/audit")

SHORT = 1024  # bytes of JSON that an event makes without its details


class Event(Schema):
    """Something that happened. Names follow the OWASP logging vocabulary where it has one."""

    id = fields.Integer(required=True)
    at = fields.DateTime(required=True)
    event = fields.String(required=True)
    actor_id = fields.Id(
        required=True, allow_none=True, metadata={"description": "Who did it, if not the user."}
    )
    user_id = fields.Id(
        required=True, allow_none=True, metadata={"description": "Whom it concerns."}
    )
    session_id = fields.Id(required=True, allow_none=True)
    address = fields.String(required=True, metadata={"description": "`cli` for the command line."})
    request_id = fields.String(required=True)
    details = fields.Dict(keys=fields.String(), required=True)


class EventQuery(PageQuery):
    """Which events."""

    cursor = fields.String(
        load_default=None,
        validate=validate.Regexp(r"^[0-9]{1,18}\Z"),
        metadata=PageQuery().fields["cursor"].metadata,
    )
    user_id = fields.Id(load_default=None)
    event = fields.String(load_default=None, validate=validate.Regexp(r"^[a-z_]{1,60}\Z"))


@blueprint.get("")
@requires(AUDIT_READ)
@blueprint.arguments(EventQuery(), location="query")
@blueprint.response(200, list_schema(Event(), "Events"))
def list_events(query: dict[str, Any]) -> object:
    """List what happened, newest first."""
    limit, cursor = query["limit"], query["cursor"]
    found = services().audit.latest(
        before=int(cursor) if cursor else None,
        limit=limit + 1,
        user_id=query["user_id"],
        event=query["event"],
    )
    shown = found[: fitting_rows(len(row.details) + SHORT for row in found[:limit])]
    events = [{**row._asdict(), "details": json.loads(row.details)} for row in shown]
    more = len(found) > len(shown)
    return {"items": events, "next_cursor": str(events[-1]["id"]) if more else None}
