"""Sessions, for operators: end those of one user, or of everybody."""

from itemsapi.endpoints.operator import actor
from itemsapi.gate.access import requires
from itemsapi.problems import Forbidden, NotFound
from itemsapi.rest import Blueprint
from itemsapi.services import services
from itemsapi.tokens.scopes import SESSIONS_WRITE

page = Blueprint("all sessions", __name__)


@page.delete("/users/<id:user_id>/sessions")
@requires(SESSIONS_WRITE)
@page.gives(204)
@page.refuses(NotFound, Forbidden)
def delete_user_sessions(user_id: str) -> None:
    """End all sessions of a user; of nobody who may do more than you."""
    services().people.end_sessions(actor(), user_id)


@page.delete("/sessions")
@requires(SESSIONS_WRITE)
@page.gives(204)
@page.refuses(Forbidden)
def delete_all_sessions() -> None:
    """End everybody's sessions, your own with them: for an emergency, and for admins."""
    services().people.end_everybodys_sessions(actor())
