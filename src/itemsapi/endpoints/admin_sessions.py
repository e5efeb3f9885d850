"""Sessions, for operators: list and end the sessions of one user, or end those of all users."""

from itemsapi.endpoints import groups
from itemsapi.endpoints.sessions import SESSIONS, mark_current
from itemsapi.gate.caller import current_caller
from itemsapi.gate.decorators import requires
from itemsapi.problems import Forbidden, NotFound
from itemsapi.rest import Blueprint, single_page
from itemsapi.services import services
from itemsapi.tokens.scopes import SESSIONS_WRITE

blueprint = Blueprint("all sessions", __name__, title="Sessions of users", group=groups.OPERATORS)


@blueprint.get("/users/<id:user_id>/sessions")
@requires(SESSIONS_WRITE)
@blueprint.response(200, SESSIONS)
@blueprint.alt_response(NotFound)
def list_user_sessions(user_id: str) -> object:
    """List the sessions of a user, most recently used first."""
    return single_page(mark_current(services().users.list_sessions(user_id)))


@blueprint.delete("/users/<id:user_id>/sessions/<id:session_id>")
@requires(SESSIONS_WRITE)
@blueprint.response(204)
@blueprint.alt_response(NotFound)
@blueprint.alt_response(Forbidden)
def delete_user_session(user_id: str, session_id: str) -> None:
    """End one session of a user.

    The user must not have scopes that you do not have.
    """
    services().users.end_session(current_caller(), user_id, session_id)


@blueprint.delete("/users/<id:user_id>/sessions")
@requires(SESSIONS_WRITE)
@blueprint.response(204)
@blueprint.alt_response(NotFound)
@blueprint.alt_response(Forbidden)
def delete_user_sessions(user_id: str) -> None:
    """End all sessions of a user.

    The user must not have scopes that you do not have.
    """
    services().users.end_sessions(current_caller(), user_id)


@blueprint.delete("/sessions")
@requires(SESSIONS_WRITE)
@blueprint.response(204)
@blueprint.alt_response(Forbidden)
def delete_all_sessions() -> None:
    """End the sessions of all users, including your own.

    Only admins can do this; it is meant for emergencies.
    """
    services().users.end_all_sessions(current_caller())
