"""Behind pgbouncer, which lends each transaction another session of the server (R-33)."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, text

from faults.conftest import Deployment
from itemsapi.db import Database
from itemsapi.db.connections import Pooler
from itemsapi.problems import DatabaseUnavailable
from support.app_factory import PASSWORD
from support.command_line import Shell, shell_at
from support.pooler import running_pooler
from support.postgres_database import execute, url_of
from support.rounds import rounds
from support.service import print_figures

CLIENTS = 8
pytestmark = [pytest.mark.slow, pytest.mark.postgres]

Deploy = Callable[..., AbstractContextManager[Deployment]]


@pytest.fixture(scope="module", params=["transaction", "session"])
def mode(request: pytest.FixtureRequest) -> str:
    """How pgbouncer lends its connections."""
    return str(request.param)


@pytest.fixture(scope="module")
def deployment(mode: str, new_postgres: Callable[[], str], deploy: Deploy) -> Iterator[Deployment]:
    """One worker behind pgbouncer. In session mode a connection is lent for as long as it lives."""
    url = new_postgres()
    sessions = {} if mode == "transaction" else {"default_pool_size": "40"}
    with (
        running_pooler(url, mode, **sessions) as there,
        deploy("postgresql", url=url, served=there, workers=2) as opened,
    ):
        yield opened


def signed_in(deployment: Deployment) -> dict[str, Any]:
    """Sign in with the password; the service takes no more of these at once than it can."""
    body = {"username": "ada", "password": PASSWORD}
    answer = deployment.service.connect().call("POST", "/auth/login", body)
    assert answer.status == 200, answer
    return answer.body


def mixed(
    deployment: Deployment, tokens: dict[str, Any], seconds: float
) -> Counter[tuple[str, int]]:
    """Be one client: refresh, look, list and make things, sign out.

    Return what was answered how often.
    """
    line, seen = deployment.service.connect(), Counter[tuple[str, int]]()
    access, token = tokens["access_token"], tokens["refresh_token"]
    ends = time.monotonic() + seconds
    for step in cycle(["look", "list", "make", "refresh", "list", "me"]):
        if time.monotonic() > ends:
            break
        if step == "refresh":
            answer = line.refresh(token)
            access = answer.body.get("access_token", access)
            token = answer.body.get("refresh_token", token)
        elif step == "make":
            answer = line.make_item(access, f"key-{time.monotonic_ns()}")
        else:
            path = {"look": "/look", "list": "/items", "me": "/me"}[step]
            answer = line.call("GET", path, token=access)
        seen[step, answer.status] += 1
    gone = line.call("POST", "/auth/logout", {"refresh_token": token})
    seen["logout", gone.status] += 1
    return seen


def test_everybody_is_served_behind_a_pooler(deployment: Deployment, mode: str) -> None:
    """R-33: eight clients on four connections; no 401, no 404, no 5xx."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [signed_in(deployment) for _ in range(CLIENTS)]
        jobs = [pool.submit(mixed, deployment, tokens, rounds(30, 4)) for tokens in clients]
        seen = sum((job.result() for job in jobs), Counter[tuple[str, int]]())
    statuses = Counter[int]()
    for (_, status), count in seen.items():
        statuses[status] += count
    print_figures(
        f"behind pgbouncer, {mode} mode", **{str(k): v for k, v in sorted(statuses.items())}
    )
    assert set(seen) == {
        *((step, 200) for step in ("list", "me", "refresh")),
        *((step, 204) for step in ("look", "logout")),
        ("make", 201),
    }


def test_times_and_words_come_back_as_they_went(deployment: Deployment) -> None:
    """R-34: what a session would say about dates and text does not matter."""
    line, session = deployment.service.connect(), deployment.open_session()
    body = {"name": "Lämpchen 電球", "price": "12.50", "currency": "EUR"}
    made = line.call("POST", "/items", body, token=session.access_token)
    found = line.call("GET", f"/items/{made.body['id']}", token=session.access_token)
    assert (made.status, found.body) == (201, made.body)
    assert found.body["name"] == body["name"]


@pytest.fixture
def through(new_postgres: Callable[[], str]) -> Iterator[tuple[str, str]]:
    """The address of a database, and the one that leads to it through a pooler."""
    url = new_postgres()
    with running_pooler(url, "transaction") as there:
        yield url, there


def test_a_pooler_is_found_out_that_swallows_what_it_does_not_know(
    new_postgres: Callable[[], str],
) -> None:
    """R-33: told to ignore `options` it accepts us, and still lends sessions."""
    with running_pooler(
        new_postgres(), "transaction", ignore_startup_parameters="options"
    ) as there:
        assert lent(Database(there))


@pytest.mark.parametrize("pooler", ["auto", "on"])
def test_a_pooler_is_found_out(through: tuple[str, str], pooler: Pooler) -> None:
    """R-33: by its refusal, or because the operator says so."""
    assert lent(Database(through[1], pooler=pooler))


def test_a_pooler_is_not_looked_for_where_there_is_said_to_be_none(
    through: tuple[str, str],
) -> None:
    """Then its refusal is an outage, in its own words."""
    with pytest.raises(DatabaseUnavailable) as refusal:
        lent(Database(through[1], pooler="off"))
    assert "unsupported startup parameter" in str(refusal.value.__cause__)


def test_a_server_is_not_taken_for_a_pooler(through: tuple[str, str]) -> None:
    """It keeps its prepared statements and limits."""
    assert not lent(Database(through[0]))


def lent(database: Database) -> bool:
    """Tell whether connections are taken for lent ones."""
    with database.reading() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
        found = connection.connection.driver_connection.prepare_threshold is None  # type: ignore[union-attr]
    database.dispose()
    return found


def test_a_transaction_has_its_limits_through_a_pooler(through: tuple[str, str]) -> None:
    """R-04: the server itself ends what takes too long, and the next client is not told so."""
    database = Database(through[1])
    asked = text("SELECT current_setting('statement_timeout')")
    with database.transaction() as tx:
        limited = tx.scalar(asked)
    with database.reading() as connection:
        outside = connection.scalar(asked)
    database.dispose()
    assert (limited, outside) == ("2s", "0")


def test_a_transaction_says_its_isolation_level_through_a_pooler(
    new_postgres: Callable[[], str],
) -> None:
    """R-34: the rules of rotation are proved for READ COMMITTED."""
    url = new_postgres()
    odd = "SET default_transaction_isolation = 'serializable'"
    execute(url, f"ALTER DATABASE {make_url(url).database} {odd}")
    with running_pooler(url, "transaction") as there:
        database = Database(there)
        with database.transaction() as tx:
            level = tx.scalar(text("SHOW transaction_isolation"))
        database.dispose()
    assert level == "read committed"


def test_options_that_a_pooler_cannot_keep_are_refused_in_one_line(
    through: tuple[str, str], tmp_path: Path
) -> None:
    """R-33: or the tables would land in another schema."""
    shell = shell_at(tmp_path, database_url=f"{through[1]}?options=-csearch_path%3Ditems")
    assert "ALTER ROLE" in refused(shell, "db", "upgrade")


def refused(shell: Shell, *words: str) -> str:
    """Return the one line with which a command gives up."""
    done = shell.run(*words)
    assert (done.code, done.err.count("\n")) == (1, 1), done
    return done.err


def test_a_pooler_that_lends_for_one_statement_is_refused_in_one_line(
    new_postgres: Callable[[], str], tmp_path: Path
) -> None:
    """R-33: nothing can be changed there as a whole."""
    with running_pooler(new_postgres(), "statement") as there:
        line = refused(shell_at(tmp_path, database_url=there), "db", "upgrade")
    assert "statement pooling mode" in line


def test_the_schema_is_made_and_unmade_through_a_pooler(
    through: tuple[str, str], tmp_path: Path
) -> None:
    """One transaction with its lock: nothing is left in a session."""
    shell = shell_at(tmp_path, database_url=through[1])
    down = shell.run("db", "downgrade", "base", "--yes")
    up = shell.run("db", "upgrade")
    assert (down.code, up.code, "revision" in up.out) == (0, 0, True), (down, up)


def test_a_pooler_whose_server_is_away_is_an_outage(through: tuple[str, str]) -> None:
    """R-03: 503, and no fault of ours."""
    database = Database(through[1])
    with database.reading() as connection:
        connection.execute(text("SELECT 1"))
    execute(
        url_of(through[0], "postgres"),
        f"DROP DATABASE {make_url(through[0]).database} WITH (FORCE)",
    )
    with pytest.raises(DatabaseUnavailable), database.reading() as connection:
        connection.execute(text("SELECT 1"))
    database.dispose()
