"""Honest clients: messages are late, lost, repeated and reordered, but no token is copied."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from itemsapi.tokens.rotation import RotationOutcome
from model.rotation import CURRENT, LATE, NAMES, PRODUCTION, ROOT, SIGNED_IN, Row, Rule

REQUEST, ABANDONED, ANSWER = "request", "abandoned request", "answer"
PAST, MAKER, NOW = range(
    3
)  # an attempt: finished; finished, and it made the current generation; in progress


class Message(NamedTuple):
    """A request or a response in transit.

    `gen` is the class of its token, and `refresh` whether that is a refresh token (a response may
    have only an access token). `age` is in ticks. `attempt` is the attempt it belongs to.
    """

    kind: str
    gen: int
    age: int
    attempt: int
    refresh: bool = True


class Client(NamedTuple):
    """A client and its session.

    `stored`: the class of its refresh token. `access`: it has an access token of the current
    generation whose use is not stored yet. `rests`: it has new tokens. `made`: its attempt in
    progress made the current generation. `why`: the outcome that it must not get, once it did.
    """

    row: Row = SIGNED_IN
    stored: int = CURRENT
    access: bool = False
    rests: bool = False
    made: bool = False
    under_way: tuple[Message, ...] = ()
    why: str = ""


Step = tuple[str, Client]


@dataclass(frozen=True)
class World:
    """How a client behaves, and what the network may do to it.

    `request` and `answer`: the longest delays, in ticks. `under_way`: the most messages at once.
    `abandons`: there is one request at a time, and the answer to an earlier one is ignored.
    `rests`: it refreshes again only when its access token gets old, long after all has arrived.
    `attempts`: requests carry the id of their attempt, which lasts until an answer arrives.
    `prompt`: it must not be asked to wait after a rotation. `fills_in`: where an answer has no
    refresh token, the client stores again the one that it showed.
    """

    request: int
    answer: int
    under_way: int = 4
    abandons: bool = False
    rests: bool = False
    attempts: bool = False
    prompt: bool = False
    fills_in: bool = False
    rule: Rule = field(default=PRODUCTION, repr=False)

    def steps(self, client: Client) -> Iterator[Step]:
        """Yield the possible next steps."""
        if client.why:
            return
        yield from self._send(client)
        for place, message in enumerate(client.under_way):
            rest = client.under_way[:place] + client.under_way[place + 1 :]
            yield f"{message.kind} is lost", client._replace(under_way=rest)
            go_on = self._arrive if message.kind is ANSWER else self._serve
            yield go_on(client, message, rest)
        yield from self._use(client)
        yield "tick", self._tick(client)

    def _send(self, client: Client) -> Iterator[Step]:
        """Send the stored token: another tab, a retry, or a proxy that repeats a request."""
        waits = client.rests and (client.under_way or client.row.age < LATE)
        if waits or len(client.under_way) == self.under_way:
            return
        kept = _abandoned(client.under_way) if self.abandons else client.under_way
        sent = Message(REQUEST, client.stored, 0, NOW if self.attempts else PAST)
        after = client._replace(under_way=_sorted(*kept, sent), rests=False)
        yield f"{NAMES[client.stored]} is sent", after

    def _serve(self, client: Client, request: Message, rest: tuple[Message, ...]) -> Step:
        """Deliver a request to the service."""
        same = request.attempt == MAKER or (request.attempt == NOW and client.made)
        answer = self.rule.present(client.row, request.gen, same=same)
        step = f"service: {NAMES[request.gen]} -> {answer.word}"
        waits = answer.outcome is RotationOutcome.RETRY_LATER and not client.row.healed
        if answer.ended or (self.prompt and waits):
            return step, client._replace(why=answer.word)
        after = client._replace(row=answer.row)
        if answer.moved:
            after = after._replace(
                stored=answer.classes[client.stored],
                access=False,
                made=request.attempt == NOW,
            )
            rest = tuple(_renamed(one, answer.classes) for one in rest)
        if request.kind is REQUEST and (answer.refresh or self._tells(answer.access)):
            reply = Message(ANSWER, answer.access, 0, request.attempt, answer.refresh)
            rest = (*rest, reply)
        return step, after._replace(under_way=_sorted(*rest))

    def _tells(self, access: int) -> bool:
        """Return whether the arrival of an access token alone changes anything."""
        return access == CURRENT or (bool(access) and (self.attempts or self.fills_in))

    def _arrive(self, client: Client, answer: Message, rest: tuple[Message, ...]) -> Step:
        """Deliver a response to the client: it stores the token and finishes its attempt."""
        over = MAKER if client.made else PAST
        rest = tuple(one._replace(attempt=over) if one.attempt == NOW else one for one in rest)
        after = client._replace(
            stored=answer.gen if answer.refresh or self.fills_in else client.stored,
            access=client.access or (answer.gen == CURRENT and not client.row.seen),
            rests=self.rests and (client.rests or answer.refresh),
            made=False,
            under_way=_sorted(*rest),
        )
        return f"answer arrives with {NAMES[answer.gen]}", after

    def _use(self, client: Client) -> Iterator[Step]:
        """Use an access token; if that is not stored, nothing changes."""
        for used in (CURRENT, ROOT) if client.access else (ROOT,):
            row = self.rule.note(client.row, used)
            if row != client.row:
                yield f"access token of {NAMES[used]} used", client._replace(row=row, access=False)

    def _tick(self, client: Client) -> Client:
        """Advance a tick; messages beyond the longest delay are lost."""
        left = (
            one._replace(age=one.age + 1)
            for one in client.under_way
            if one.age < (self.answer if one.kind is ANSWER else self.request)
        )
        return client._replace(row=client.row.older(), under_way=_sorted(*left))


def refused(client: Client) -> str:
    """Return the outcome that a client must not get but got, if any."""
    return client.why


def stays_out(rule: Rule, client: Client) -> str:
    """Return a text if a client gets no new tokens within the window, though requests arrive."""
    row = client.row
    for _ in range(0 if client.why else LATE + 1):
        answer = rule.present(row, client.stored, same=client.made)
        if answer.refresh:
            return ""
        row = answer.row.older()
    return f"{NAMES[client.stored]} gets no new tokens"


def _abandoned(messages: tuple[Message, ...]) -> Iterator[Message]:
    """Abandon the messages in transit: the client ignores the responses."""
    return (one._replace(kind=ABANDONED) for one in messages if one.kind is not ANSWER)


def _renamed(message: Message, classes: tuple[int, ...]) -> Message:
    """Update the class of a message after the row changed; its attempt is no longer current."""
    attempt = PAST if message.attempt == MAKER else message.attempt
    return message._replace(gen=classes[message.gen], attempt=attempt)


def _sorted(*messages: Message) -> tuple[Message, ...]:
    """Sort messages, because the order of sending makes no difference."""
    return tuple(sorted(messages))
