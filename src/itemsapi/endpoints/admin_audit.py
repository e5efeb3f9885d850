"""The audit trail, for operators: who did what, when, and from where."""

import json
from typing import Any

from marshmallow import validate

from itemsapi.endpoints import groups
from itemsapi.gate.decorators import requires
from itemsapi.paging import Page, cut_page
from itemsapi.rest import Blueprint, PageQuery, Schema, fields, list_schema
from itemsapi.services import services
from itemsapi.tokens.scopes import AUDIT_READ

blueprint = Blueprint(
    "audit", __name__, url_prefix="/audit", title="Audit trail", group=groups.OPERATORS
)

MAX_EVENT_BYTES_WITHOUT_DETAILS = 1024


class Event(Schema):
    """An audit event. Event names follow the OWASP logging vocabulary where it defines one."""

    id = fields.Integer(required=True)
    at = fields.DateTime(required=True)
    event = fields.String(required=True)
    caller_id = fields.Id(
        required=True,
        allow_none=True,
        metadata={"description": "The user who did it, if it was another user."},
    )
    user_id = fields.Id(
        required=True,
        allow_none=True,
        metadata={"description": "The user that the event is about."},
    )
    session_id = fields.Id(required=True, allow_none=True)
    address = fields.String(required=True, metadata={"description": "`cli` for the command line."})
    request_id = fields.String(required=True)
    details = fields.Dict(keys=fields.String(), required=True)


class EventQuery(PageQuery):
    """Paging and filters of audit events."""

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
    """List audit events, newest first."""
    limit, cursor = query["limit"], query["cursor"]
    rows = services().audit.latest(
        before=int(cursor) if cursor else None,
        limit=limit + 1,
        user_id=query["user_id"],
        event=query["event"],
    )
    sizes = (len(row.details) + MAX_EVENT_BYTES_WITHOUT_DETAILS for row in rows)
    page = cut_page(rows, limit, cursor_after=lambda row: str(row.id), row_sizes=sizes)
    events = [{**row._asdict(), "details": json.loads(row.details)} for row in page.items]
    return Page(events, page.next_cursor)
