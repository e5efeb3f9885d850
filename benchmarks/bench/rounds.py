"""Rounds: all servers run, and take turns under the same load."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from random import Random

from rich.console import Console
from rich.progress import track

from bench.clients import Client, Session
from bench.contestants import Contestant
from bench.dataset import items_of, user_names
from bench.environments import data_of, fill, python_of, variables_of
from bench.postgres import new_database
from bench.servers import serving
from bench.wrk import Load, Request, RequestsRefused, Speed, require_tools, run
from itemsapi.gate.token_cache import MAX_TOKENS

CASES = ("list", "one", "login", "refresh")
# Of a sign-in no more than this service lets wait: it hashes one password at a time.
CONNECTIONS = {"list": 16, "one": 16, "login": 2, "refresh": 8}
FRESH_TOKENS = MAX_TOKENS * 5 // 4  # used in turn, so that each is forgotten before its turn
Samples = dict[str, dict[str, list[Speed]]]  # of each case and contestant, one a round


@dataclass(frozen=True)
class Plan:
    """How long, and on how much data."""

    rounds: int
    seconds: float
    users: int = 100
    items_per_user: int = 1000
    server_core: int | None = 0
    load_core: int | None = 1
    postgres: str = ""  # the address of a server, in place of SQLite


def measure(contestants: Mapping[str, Contestant], cases: Sequence[str], plan: Plan) -> Samples:
    """Run all servers; return what each case measured on each that has it, round by round.

    A first round warms up and does not count. Raise `RequestsRefused` if a request fails.
    """
    require_tools()
    with ExitStack() as stack:
        loads = {}
        for name, contestant in contestants.items():
            url, folder = stack.enter_context(running(contestant, plan))
            for case, load in loads_of(contestant.client, url, folder, cases, plan).items():
                loads[case, name] = (url, load)
        order = sorted(loads, key=lambda key: cases.index(key[0]))
        turns = [(number, *key) for number in range(plan.rounds + 1) for key in order]
        samples: Samples = {case: {} for case in cases}
        for number, case, name in track(turns, "measuring", console=Console(stderr=True)):
            url, load = loads[case, name]
            speed = _run(name, case, url, load(), plan)
            if number:
                samples[case].setdefault(name, []).append(speed)
    return samples


def _run(name: str, case: str, url: str, load: Load, plan: Plan) -> Speed:
    try:
        return run(url, load, plan.seconds, plan.load_core)
    except RequestsRefused as error:
        raise RequestsRefused(f"{name}, {case}: {error}") from error


@contextmanager
def running(contestant: Contestant, plan: Plan) -> Iterator[tuple[str, Path]]:
    """Run a server on a copy of its data; yield its address and the folder of the copy."""
    command = [python_of(contestant), *contestant.server]
    with ExitStack() as stack:
        prefix = "itemsapi-bench-"
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=prefix)))
        database = stack.enter_context(new_database(plan.postgres)) if plan.postgres else ""
        variables = variables_of(contestant, folder, database)
        if database:
            fill(contestant, variables, folder, plan.users, plan.items_per_user)
        else:
            data = data_of(contestant, plan.users, plan.items_per_user)
            shutil.copytree(data, folder, dirs_exist_ok=True)
        url = stack.enter_context(serving(command, variables, folder, plan.server_core))
        yield url, folder


def loads_of(
    client: Client, url: str, folder: Path, cases: Sequence[str], plan: Plan
) -> dict[str, Callable[[], Load]]:
    """Return what makes the load of each of these cases that a contestant has.

    A refresh token that is used once needs new sign-ins in every round.
    """
    names = user_names(plan.users)
    sessions = [client.sign_in(url, number, name) for number, name in enumerate(names)]
    made: dict[str, Callable[[], Load]] = {}
    for case in cases:
        if case == "refresh" and client.refresh:
            made[case] = partial(_refresh_load, client, url, names)
        elif requests := [*_requests(case, client, url, sessions, plan)]:
            Random().shuffle(requests)  # noqa: S311 - no secret
            if client.fresh:
                requests = _with_fresh_tokens(client.fresh, folder, requests)
            load = Load(tuple(requests), CONNECTIONS[case])
            made[case] = partial(replace, load)
    return made


def _requests(
    case: str, client: Client, url: str, sessions: Sequence[Session], plan: Plan
) -> Iterator[Request]:
    if case == "login" and client.login:
        yield from map(client.login_request, user_names(plan.users))
    if case not in {"list", "one"}:
        return
    for user, session in enumerate(sessions):
        items = [*items_of(user, plan.items_per_user)][::-1]
        if case == "list":
            yield from client.pages(url, session, items)
        else:
            yield from (Request("GET", f"/items/{i.id}", session.authorization) for i in items)


def _refresh_load(client: Client, url: str, names: Sequence[str]) -> Load:
    assert client.refresh is not None  # noqa: S101 - narrows the type
    count = CONNECTIONS["refresh"] + 1  # one more than are sent at a time: wrk makes one to look at
    tokens = [client.sign_in(url, n, name).refresh_token for n, name in enumerate(names[:count])]
    return Load(tuple(map(client.refresh, tokens)), CONNECTIONS["refresh"], client.rotated)


def _with_fresh_tokens(
    fresh: Callable[[Path, Sequence[str], int], Iterator[str]],
    folder: Path,
    requests: Sequence[Request],
) -> list[Request]:
    """Return the requests again and again, each with a token of its user that no other one has."""
    repeated = [*islice(cycle(requests), FRESH_TOKENS)]
    users = [request.authorization for request in repeated]
    headers = fresh(folder, users, FRESH_TOKENS)
    return [
        request._replace(authorization=header)
        for request, header in zip(repeated, headers, strict=True)
    ]
