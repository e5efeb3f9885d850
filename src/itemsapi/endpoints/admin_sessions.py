"""Sessions, for operators: end those of one user, or of everybody."""

from itemsapi.gate.caller import current_caller
from itemsapi.gate.decorators import requires
from itemsapi.problems import Forbidden, NotFound
from itemsapi.rest import Blueprint
from itemsapi.services import services
from itemsapi.tokens.scopes import SESSIONS_WRITE

blueprint = Blueprint("all sessions", __name__)


@blueprint.delete("/users/<id:user_id>/sessions")
@requires(SESSIONS_WRITE)
@blueprint.response(204)
@blueprint.alt_response(NotFound)
@blueprint.alt_response(Forbidden)
def delete_user_sessions(user_id: str) -> None:
    """End all sessions of a user; of nobody who may do more than you."""
    services().users.end_sessions(current_caller(), user_id)


@blueprint.delete("/sessions")
@requires(SESSIONS_WRITE)
@blueprint.response(204)
@blueprint.alt_response(Forbidden)
def delete_all_sessions() -> None:
    """End everybody's sessions, your own with them: for an emergency, and for admins."""
    services().users.end_all_sessions(current_caller())
