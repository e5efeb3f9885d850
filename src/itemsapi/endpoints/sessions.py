"""Your sessions: where you are signed in, and how to end that."""

from marshmallow import validate

from itemsapi.gate.caller import current_caller
from itemsapi.gate.decorators import signed_in
from itemsapi.issuer.sessions import end_other_sessions, end_session, list_open_sessions
from itemsapi.problems import NotFound
from itemsapi.rest import Blueprint, Schema, fields, list_schema, whole
from itemsapi.services import services

blueprint = Blueprint("sessions", __name__, url_prefix="/auth/sessions")


class Session(Schema):
    """One sign-in of yours."""

    id = fields.String(required=True)
    device = fields.String(required=True, metadata={"description": "As it named itself."})
    address = fields.String(required=True, metadata={"description": "Where it signed in from."})
    created_at = fields.DateTime(required=True)
    last_used_at = fields.DateTime(
        required=True, metadata={"description": "Its latest refresh, to about five minutes."}
    )
    expires_at = fields.DateTime(required=True)
    current = fields.Boolean(required=True, metadata={"description": "The one you use now."})


class Which(Schema):
    """Which sessions to leave."""

    except_ = fields.String(
        data_key="except", load_default=None, validate=validate.Equal("current")
    )


@blueprint.get("")
@signed_in
@blueprint.response(200, list_schema(Session(), "Sessions"))
def list_sessions() -> object:
    """List where you are signed in, latest use first."""
    caller = current_caller()
    found = list_open_sessions(services().issuer, caller.user_id)
    return whole(one | {"current": one["id"] == caller.session_id} for one in found)


@blueprint.delete("/<id:session_id>")
@signed_in
@blueprint.response(204)
@blueprint.alt_response(NotFound)
def delete_session(session_id: str) -> None:
    """End one of your sessions."""
    me = current_caller().user_id
    end_session(services().issuer, session_id, me, why="ended by user", actor=me)


@blueprint.delete("")
@signed_in
@blueprint.arguments(Which(), location="query")
@blueprint.response(204)
def delete_sessions(which: dict[str, str | None]) -> None:
    """End all your sessions, or all the others with `except=current`."""
    caller = current_caller()
    keep = caller.session_id if which["except_"] else None
    end_other_sessions(
        services().issuer, caller.user_id, keep=keep, why="ended by user", actor=caller.user_id
    )
