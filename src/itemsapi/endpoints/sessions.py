"""The sessions of the signed-in user: list and end them."""

from collections.abc import Iterable, Iterator
from typing import Any

from marshmallow import validate

from itemsapi.endpoints import groups
from itemsapi.gate.caller import current_caller
from itemsapi.gate.decorators import signed_in
from itemsapi.issuer.sessions import end_other_sessions, end_session, list_open_sessions
from itemsapi.problems import NotFound
from itemsapi.rest import Blueprint, Schema, fields, list_schema, single_page
from itemsapi.services import services

blueprint = Blueprint(
    "sessions", __name__, url_prefix="/auth/sessions", title="Your sessions", group=groups.ACCOUNT
)


class Session(Schema):
    """A session: one sign-in on one device."""

    id = fields.String(required=True)
    device = fields.String(
        required=True, metadata={"description": "The name that the device sent at sign-in."}
    )
    address = fields.String(
        required=True, metadata={"description": "The client address at sign-in."}
    )
    created_at = fields.DateTime(required=True)
    last_used_at = fields.DateTime(
        required=True, metadata={"description": "The last refresh, accurate to about five minutes."}
    )
    expires_at = fields.DateTime(required=True)
    current = fields.Boolean(
        required=True, metadata={"description": "Whether this request uses it."}
    )


SESSIONS = list_schema(Session(), "Sessions")


class DeleteSessionsQuery(Schema):
    """Which session to keep."""

    except_ = fields.String(
        data_key="except", load_default=None, validate=validate.Equal("current")
    )


def mark_current(sessions: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield sessions with whether the request uses them."""
    session_id = current_caller().session_id
    for session in sessions:
        yield session | {"current": session["id"] == session_id}


@blueprint.get("")
@signed_in
@blueprint.response(200, SESSIONS)
def list_sessions() -> object:
    """List your sessions, most recently used first."""
    sessions = list_open_sessions(services().issuer, current_caller().user_id)
    return single_page(mark_current(sessions))


@blueprint.delete("/<id:session_id>")
@signed_in
@blueprint.response(204)
@blueprint.alt_response(NotFound)
def delete_session(session_id: str) -> None:
    """End one of your sessions."""
    user_id = current_caller().user_id
    end_session(services().issuer, session_id, user_id, why="ended by user", caller_id=user_id)


@blueprint.delete("")
@signed_in
@blueprint.arguments(DeleteSessionsQuery(), location="query")
@blueprint.response(204)
def delete_sessions(query: dict[str, str | None]) -> None:
    """End all your sessions, or with `except=current` all your other sessions."""
    caller = current_caller()
    keep = caller.session_id if query["except_"] else None
    end_other_sessions(
        services().issuer, caller.user_id, keep=keep, why="ended by user", caller_id=caller.user_id
    )
