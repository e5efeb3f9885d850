"""Sessions, for operators: end the sessions of one user, or of all users."""

from itemsapi.endpoints import groups
from itemsapi.gate.caller import current_caller
from itemsapi.gate.decorators import requires
from itemsapi.problems import Forbidden, NotFound
from itemsapi.rest import Blueprint
from itemsapi.services import services
from itemsapi.tokens.scopes import SESSIONS_WRITE

blueprint = Blueprint("all sessions", __name__, title="Sessions of users", group=groups.OPERATORS)


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
