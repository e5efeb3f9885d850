"""Password: a user changes their own, having proved the one they have (S-042)."""

from dataclasses import dataclass, field

from itemsapi.accounts import lookup
from itemsapi.accounts.lookup import Holder
from itemsapi.accounts.password_policy import demand
from itemsapi.accounts.user import User
from itemsapi.issuer import guessing
from itemsapi.issuer.desk import Desk
from itemsapi.issuer.sessions import finish_all
from itemsapi.problems import Invalid, NotFound


@dataclass(frozen=True, slots=True)
class PasswordChange:
    """What a user shows and wishes for; `session_id` is the session they ask from."""

    user_id: str
    session_id: str
    current: str = field(repr=False)
    new: str = field(repr=False)
    end_others: bool = True


def change_password(desk: Desk, change: PasswordChange) -> int:
    """Change the password; the session stays, the others end unless told not to (S-126).

    Returns how many ended. Raises `Invalid` (the current password is wrong, or the new one no
    good), `TooMany`: wrong tries count as those at sign-in do (S-045), and `Busy`.
    """
    with desk.database.reading() as connection:
        holder = lookup.by_id(connection, change.user_id)
    if holder is None:
        raise NotFound
    minimum = desk.settings.password_min_length
    demand(change.new, username=holder.username, minimum=minimum, field="new_password")
    guess = guessing.begin(desk, holder.username)
    if not guessing.matches(desk, guess, change.current, holder):
        guessing.fail(desk, guess, holder, "authn_password_change_fail", why="wrong password")
        raise _wrong()
    return _store(desk, change, holder, guess)


def _store(desk: Desk, change: PasswordChange, holder: Holder, guess: guessing.Try) -> int:
    stored = desk.passwords.hash(change.new)
    with desk.database.transaction() as tx:
        now = lookup.by_id(tx, holder.id, hold=True)
        if now is None or not now.enabled or now.password_hash != holder.password_hash:
            raise _wrong()  # it changed while the password was being checked
        user = tx.get_one(User, holder.id)
        user.password_hash, user.updated_at = stored, desk.clock()
        user.version += 1
        guessing.succeed(desk, tx, guess)
        who = {"user_id": holder.id, "session_id": change.session_id, "actor_id": holder.id}
        desk.audit.record(tx, "authn_password_change", **who, by="user")
        if not change.end_others:
            return 0
        kept = change.session_id
        return finish_all(desk, tx, holder.id, keep=kept, why="password changed", actor=holder.id)


def _wrong() -> Invalid:
    return Invalid.at("current_password", "This is not your current password.")
