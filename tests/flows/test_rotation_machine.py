"""Hypothesis compares sessions of the service with a small model of what the documents promise.

Two processes share one database. Clients refresh, lose responses, replay any earlier token, use
access tokens and sign out; operators end sessions and change roles; the clock moves forward, and
back a little. After each step service and model must agree (S-060 to S-068, S-123, S-183).
"""

import base64
import dataclasses
import json
from collections.abc import Callable, Iterable, Sized
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from sqlalchemy import update

from itemsapi.accounts.models import User
from itemsapi.issuer import sessions
from support.app_factory import Backend
from support.rounds import rounds
from support.tokens import error_code, is_accepted, look, open_session, refresh

GRACE, IDLE, AGE, LIMIT = timedelta(seconds=20), timedelta(hours=2), timedelta(hours=5), 4
STEPS = (0.5, 1, 4, 19, 20, 20.5, 300, 660, 3600, 7199, 7200, 17999, 18000, -0.5, -1, -2)
ATTEMPTS = ("", "", "same", "new")
HURRY = st.tuples(
    st.sampled_from((0, 1, 6, 11, 21, -1)),
    st.sampled_from([0, 1, 2]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(ATTEMPTS),
)
NARROW, WIDE = "items:read", "items:read items:write users:write"


@dataclass
class Access:
    """An issued access token. `void`: it was revoked."""

    token: str
    gen: int
    begins: int
    ends: int
    void: bool = False


@dataclass
class ModelSession:
    """The expected state of a session, by the table of docs/adr/0003.

    `made`: when its generation was created, and `attempt`: by which attempt; `root`: the last
    generation before it that was seen; `received`: the refresh tokens that its client has.
    """

    user: int
    id: str
    born: datetime
    made: datetime
    gen: int = 1
    root: int = 0
    seen: bool = True
    attempt: str = ""
    checkpoint: tuple[int, datetime] = (0, datetime.min.replace(tzinfo=UTC))
    settled: int = 0
    over: bool = False
    issued: dict[int, str] = field(default_factory=dict)
    received: dict[int, str] = field(default_factory=dict)
    access: list[Access] = field(default_factory=list)

    def alive(self, now: datetime) -> bool:
        """Return whether the session has neither ended nor passed a limit."""
        return not self.over and now < self.born + AGE and now < self.made + IDLE

    def present(self, gen: int, now: datetime, attempt: str = "") -> str:
        """Present a refresh token of a generation to the model; return the expected outcome."""
        if not self.alive(now):
            return "invalid_refresh_token"
        if gen == self.gen:
            self.moves(gen, now, attempt)
            return "rotate"
        if gen == self.root and attempt and attempt == self.attempt:
            return "again"
        if now <= self.made + GRACE and gen >= self.settled:
            lost_a_race = gen == self.root == self.gen - 1
            return "access" if lost_a_race else "refresh_superseded"
        if gen == self.root and not self.seen:
            for access in self.access:
                access.void |= access.gen == self.gen
            self.moves(gen, now, attempt)
            return "heal"
        self.over = True
        return "refresh_reused"

    def moves(self, root: int, now: datetime, attempt: str) -> None:
        """Advance to the next generation."""
        self.gen, self.root, self.seen = self.gen + 1, root, False
        if self.checkpoint[1] < now - GRACE:
            self.settled, self.checkpoint = self.checkpoint[0], (root, now)
        self.made, self.attempt = now, attempt

    def use(self, access: Access, now: datetime) -> bool:
        """Use an access token in the model; return whether it must be accepted."""
        good = int(now.timestamp()) < access.ends and not (access.void or self.over)
        self.seen = self.seen or (good and access.gen == self.gen)
        return good

    def take(self, response: dict[str, Any], *, lost: bool) -> None:
        """Record what the service issued, and whether the client received it."""
        refresh_token, token = response.get("refresh_token"), response["access_token"]
        if refresh_token:
            self.issued[self.gen] = refresh_token
        if lost:
            return
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        if refresh_token:
            self.received[self.gen] = refresh_token
        self.access.append(Access(token, claims["gen"], claims["iat"], claims["exp"]))


class Machine(RuleBasedStateMachine):
    """Two processes, two users, and the model of their sessions."""

    def __init__(self, backends: list[Backend], users: list[str]) -> None:
        """Start with no user signed in."""
        super().__init__()
        self.backends, self.users, self.clock = backends, users, backends[0].clock
        self.sittings: list[ModelSession] = []
        self.enabled, self.attempts = [True] * len(users), 0
        self.clock.current = self.clock().replace(microsecond=0) + timedelta(minutes=10)

    def teardown(self) -> None:
        """End all sessions and enable all users again."""
        for user in self.users:
            self.set_disabled(user, None)

    def set_disabled(self, user: str, moment: datetime | None) -> None:
        """Disable a user and end their sessions, or enable them again."""
        issuer = self.backends[0].services.issuer
        with issuer.database.transaction() as tx:
            tx.execute(update(User).where(User.id == user).values(disabled_at=moment))
            sessions.end_user_sessions_in(
                issuer, tx, user, keep=None, why="disabled", caller_id=None
            )

    def of(self, user: int) -> list[ModelSession]:
        """Return the sessions of a user."""
        return [one for one in self.sittings if one.user == user]

    def pick(self, data: st.DataObject) -> tuple[Backend, ModelSession]:
        """Choose a process and a session, preferably a recent one."""
        backend = self.backends[data.draw(st.integers(0, 1), label="process")]
        return backend, self.sittings[-1 - data.draw(self.up_to(self.sittings), label="session")]

    @staticmethod
    def up_to(things: Sized) -> st.SearchStrategy[int]:
        """Choose an index of a list."""
        return st.integers(0, len(things) - 1)

    @rule(user=st.sampled_from([0, 1]), process=st.sampled_from([0, 1]))
    def sign_in(self, user: int, process: int) -> None:
        """Sign in with the right password; the oldest session above the limit ends (S-124)."""
        if not self.enabled[user]:
            return
        now, made = self.clock(), open_session(self.backends[process], self.users[user])
        sitting = ModelSession(user, made.session_id, now, now, checkpoint=(0, now))
        sitting.take(dataclasses.asdict(made), lost=False)
        self.sittings.append(sitting)
        open_ones = sorted(
            (one for one in self.of(user) if one.alive(now)), key=lambda one: (one.born, one.id)
        )
        for one in open_ones[:-LIMIT]:
            one.over = True

    def present(
        self, sitting: ModelSession, backend: Backend, *, age: int, lost: bool, attempt: str = ""
    ) -> None:
        """Present the token that a client got last, or an earlier one, and compare."""
        gen = sorted(sitting.received)[-1 - min(age, len(sitting.received) - 1)]
        self.attempts += attempt == "new"
        named = {"same": sitting.attempt, "new": f"attempt-number-{self.attempts:020}"}
        tried = named.get(attempt, "")
        wanted = sitting.present(gen, self.clock(), tried)
        headers = {"Idempotency-Key": tried} if tried else {}
        response = refresh(backend, sitting.received[gen], headers=headers)
        if wanted in {"rotate", "heal", "again"}:
            self.compare(sitting, response, sitting.received[gen], again=wanted == "again")
            sitting.take(response.json, lost=lost)
        elif wanted == "access":
            assert (response.status_code, "refresh_token" in response.json) == (200, False)
            sitting.take(response.json, lost=lost)
            assert lost or sitting.access[-1].gen == gen
        else:
            status = 503 if wanted == "refresh_superseded" else 401
            assert (response.status_code, error_code(response)) == (status, wanted)

    @staticmethod
    def compare(sitting: ModelSession, response: Any, shown: str, *, again: bool) -> None:
        """Check that a refresh token is handed out once, and again only to the same attempt."""
        assert response.status_code == 200, response.json
        given = response.json["refresh_token"]
        assert (given in {shown, *sitting.issued.values()}) == again
        assert not again or given == sitting.issued[sitting.gen]

    @precondition(lambda self: self.sittings)
    @rule(
        data=st.data(),
        lost=st.booleans(),
        age=st.sampled_from([0, 0, 0, 1, 2, 9]),
        attempt=st.sampled_from(ATTEMPTS),
    )
    def refresh(self, data: st.DataObject, lost: bool, age: int, attempt: str) -> None:
        """Present the current or an earlier refresh token; the response may be lost."""
        backend, sitting = self.pick(data)
        self.present(sitting, backend, age=age, lost=lost, attempt=attempt)

    @precondition(lambda self: self.sittings)
    @rule(data=st.data(), steps=st.lists(HURRY, min_size=3, max_size=8))
    def hurry(self, data: st.DataObject, steps: list[tuple[float, int, bool, bool, str]]) -> None:
        """Several tabs of one client refresh and use their tokens within seconds."""
        backend, sitting = self.pick(data)
        for seconds, age, lost, used, attempt in steps:
            self.present(sitting, backend, age=age, lost=lost, attempt=attempt)
            if used:
                self.look(sitting, backend, sitting.access[-1])
            self.clock.advance(seconds=seconds)

    @precondition(lambda self: self.sittings)
    @rule(data=st.data(), cycles=st.integers(2, 4))
    def live(self, data: st.DataObject, cycles: int) -> None:
        """A client refreshes and works repeatedly, loses a response, and returns later."""
        backend, sitting = self.pick(data)
        for _ in range(cycles):
            self.present(sitting, backend, age=0, lost=False)
            self.look(sitting, backend, sitting.access[-1])
            self.clock.advance(seconds=21)
        self.present(sitting, backend, age=0, lost=True)
        self.clock.advance(minutes=30)
        self.present(sitting, backend, age=0, lost=False)

    @precondition(lambda self: self.sittings)
    @rule(data=st.data())
    def refresh_narrowed(self, data: st.DataObject) -> None:
        """A narrower scope is for the access token only; a wider one does not rotate (S-065)."""
        backend, sitting = self.pick(data)
        if not sitting.alive(self.clock()) or max(sitting.received) != sitting.gen:
            return
        token = sitting.received[sitting.gen]
        assert error_code(refresh(backend, token, scope=WIDE)) == "invalid_scope"
        response = refresh(backend, token, scope=NARROW)
        assert sitting.present(sitting.gen, self.clock()) == "rotate"
        assert response.json["scope"] == NARROW
        sitting.take(response.json, lost=False)

    @precondition(lambda self: any(one.access for one in self.sittings))
    @rule(data=st.data())
    def use(self, data: st.DataObject) -> None:
        """A client uses any access token it ever got, at any process."""
        backend, sitting = self.pick(data)
        if not sitting.access:
            return
        token = data.draw(self.up_to(sitting.access), label="token")
        self.look(sitting, backend, sitting.access[token])

    def look(self, sitting: ModelSession, backend: Backend, access: Access) -> None:
        """Use an access token, and compare."""
        assert is_accepted(backend, access.token) == sitting.use(access, self.clock())

    @rule(seconds=st.sampled_from(STEPS))
    def wait(self, seconds: float) -> None:
        """Let time pass; sometimes a clock is set back."""
        self.clock.advance(seconds=seconds)

    @precondition(lambda self: self.sittings)
    @rule(data=st.data(), how=st.sampled_from(["sign out", "others", "disable", "recall", "all"]))
    def intervene(self, data: st.DataObject, how: str) -> None:
        """A user or an operator revokes something."""
        backend, sitting = self.pick(data)
        issuer, user = backend.services.issuer, self.users[sitting.user]
        if how == "sign out":
            token = data.draw(st.sampled_from(sorted(sitting.received)), label="generation")
            response = backend.client().post(
                "/auth/logout", json={"refresh_token": sitting.received[token]}
            )
            assert response.status_code == 204
            sitting.over = True
        elif how == "others":
            sessions.end_other_sessions(issuer, user, keep=sitting.id, why="test", caller_id=user)
            self.end(one for one in self.of(sitting.user) if one is not sitting)
        elif how == "disable":
            self.enabled[sitting.user] = not self.enabled[sitting.user]
            self.set_disabled(user, None if self.enabled[sitting.user] else self.clock())
            self.end(self.of(sitting.user))
        elif how == "recall":
            with issuer.database.transaction() as tx:
                sessions.revoke_access_tokens(issuer, tx, user)
            for access in [access for one in self.of(sitting.user) for access in one.access]:
                access.void = True
        else:
            sessions.end_all_sessions(issuer, why="test")
            self.end(self.sittings)

    @staticmethod
    def end(ended: Iterable[ModelSession]) -> None:
        """Record that sessions have ended."""
        for one in ended:
            one.over = True


@pytest.mark.full
def test_service_and_model_agree_whatever_clients_do(make_backend: Callable[..., Backend]) -> None:
    """S-060 to S-068, S-123 to S-125, S-183: runs of up to 25 steps on each database."""
    some = {"session_max_idle": IDLE, "session_max_age": AGE, "session_limit": LIMIT}
    backends = [make_backend(look, revocation_lag=timedelta(0), **some) for _ in range(2)]
    users = [backends[0].create_user(name, "member") for name in ("ada", "bob")]
    run_state_machine_as_test(
        lambda: Machine(backends, users),  # type: ignore[arg-type]  # it takes what makes one
        settings=settings(
            max_examples=rounds(1000, 20),
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
