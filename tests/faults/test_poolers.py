"""Behind pgbouncer, which assigns another server session to each transaction (R-33)."""

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
from itemsapi.db.postgres_connections import Pooler
from itemsapi.problems import DatabaseUnavailable
from itemsapi.testing import PASSWORD
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
    """The pool mode of pgbouncer."""
    return str(request.param)


@pytest.fixture(scope="module")
def deployment(mode: str, new_postgres: Callable[[], str], deploy: Deploy) -> Iterator[Deployment]:
    """Two workers behind pgbouncer.

    In session mode a server connection lasts as long as a client's.
    """
    url = new_postgres()
    sessions = {} if mode == "transaction" else {"default_pool_size": "40"}
    with (
        running_pooler(url, mode, **sessions) as pooled_url,
        deploy("postgresql", url=url, served=pooled_url, workers=2) as opened,
    ):
        yield opened


def sign_in(deployment: Deployment) -> dict[str, Any]:
    """Sign in with the password; return the tokens."""
    body = {"username": "ada", "password": PASSWORD}
    response = deployment.service.connect().call("POST", "/auth/login", body)
    assert response.status == 200, response
    return response.body


def run_client(
    deployment: Deployment, tokens: dict[str, Any], seconds: float
) -> Counter[tuple[str, int]]:
    """Run one client: refresh, check, list and create items, sign out.

    Return the count of each outcome.
    """
    line, seen = deployment.service.connect(), Counter[tuple[str, int]]()
    access, token = tokens["access_token"], tokens["refresh_token"]
    ends = time.monotonic() + seconds
    for step in cycle(["look", "list", "make", "refresh", "list", "me"]):
        if time.monotonic() > ends:
            break
        if step == "refresh":
            response = line.refresh(token)
            access = response.body.get("access_token", access)
            token = response.body.get("refresh_token", token)
        elif step == "make":
            response = line.make_item(access, f"key-{time.monotonic_ns()}")
        else:
            path = {"look": "/look", "list": "/items", "me": "/me"}[step]
            response = line.call("GET", path, token=access)
        seen[step, response.status] += 1
    gone = line.call("POST", "/auth/logout", {"refresh_token": token})
    seen["logout", gone.status] += 1
    return seen


def test_all_requests_succeed_behind_a_pooler(deployment: Deployment, mode: str) -> None:
    """R-33: eight clients on four connections; no 401, no 404, no 5xx."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [sign_in(deployment) for _ in range(CLIENTS)]
        jobs = [pool.submit(run_client, deployment, tokens, rounds(30, 4)) for tokens in clients]
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


def test_times_and_texts_are_unchanged(deployment: Deployment) -> None:
    """R-34: session settings for dates and text have no effect."""
    line, session = deployment.service.connect(), deployment.open_session()
    body = {"name": "Lämpchen 電球", "price": "12.50", "currency": "EUR"}
    made = line.call("POST", "/items", body, token=session.access_token)
    found = line.call("GET", f"/items/{made.body['id']}", token=session.access_token)
    assert (made.status, found.body) == (201, made.body)
    assert found.body["name"] == body["name"]


@pytest.fixture
def database_and_pooler(new_postgres: Callable[[], str]) -> Iterator[tuple[str, str]]:
    """The URL of a database, and the URL that leads to it through a pooler."""
    url = new_postgres()
    with running_pooler(url, "transaction") as pooled_url:
        yield url, pooled_url


def test_a_pooler_that_ignores_parameters_is_detected(
    new_postgres: Callable[[], str],
) -> None:
    """R-33: with `options` ignored it accepts the connection, but still shares sessions."""
    with running_pooler(
        new_postgres(), "transaction", ignore_startup_parameters="options"
    ) as pooled_url:
        assert is_pooled(Database(pooled_url))


@pytest.mark.parametrize("pooler", ["auto", "on"])
def test_a_pooler_is_detected(database_and_pooler: tuple[str, str], pooler: Pooler) -> None:
    """R-33: by its error message, or by the setting."""
    assert is_pooled(Database(database_and_pooler[1], pooler=pooler))


def test_a_pooler_is_not_detected_when_the_setting_excludes_it(
    database_and_pooler: tuple[str, str],
) -> None:
    """Its error message is then reported as an outage."""
    with pytest.raises(DatabaseUnavailable) as error:
        is_pooled(Database(database_and_pooler[1], pooler="off"))
    assert "unsupported startup parameter" in str(error.value.__cause__)


def test_a_direct_connection_is_not_treated_as_pooled(database_and_pooler: tuple[str, str]) -> None:
    """It keeps its prepared statements and timeouts."""
    assert not is_pooled(Database(database_and_pooler[0]))


def is_pooled(database: Database) -> bool:
    """Return whether connections are treated as pooled ones."""
    with database.reading() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
        found = connection.connection.driver_connection.prepare_threshold is None  # type: ignore[union-attr]
    database.dispose()
    return found


def test_a_transaction_has_its_timeout_through_a_pooler(
    database_and_pooler: tuple[str, str],
) -> None:
    """R-04: the server ends long statements; the timeout does not affect the next client."""
    database = Database(database_and_pooler[1])
    query = text("SELECT current_setting('statement_timeout')")
    with database.transaction() as tx:
        inside = tx.scalar(query)
    with database.reading() as connection:
        outside = connection.scalar(query)
    database.dispose()
    assert (inside, outside) == ("2s", "0")


def test_a_transaction_sets_its_isolation_level_through_a_pooler(
    new_postgres: Callable[[], str],
) -> None:
    """R-34: the rotation rules are proved for READ COMMITTED."""
    url = new_postgres()
    odd = "SET default_transaction_isolation = 'serializable'"
    execute(url, f"ALTER DATABASE {make_url(url).database} {odd}")
    with running_pooler(url, "transaction") as pooled_url:
        database = Database(pooled_url)
        with database.transaction() as tx:
            level = tx.scalar(text("SHOW transaction_isolation"))
        database.dispose()
    assert level == "read committed"


def test_options_that_a_pooler_cannot_keep_are_a_one_line_error(
    database_and_pooler: tuple[str, str], tmp_path: Path
) -> None:
    """R-33: otherwise the tables would be created in another schema."""
    shell = shell_at(
        tmp_path, database_url=f"{database_and_pooler[1]}?options=-csearch_path%3Ditems"
    )
    assert "ALTER ROLE" in error_of(shell, "db", "upgrade")


def error_of(shell: Shell, *words: str) -> str:
    """Return the one-line error of a command."""
    done = shell.run(*words)
    assert (done.code, done.err.count("\n")) == (1, 1), done
    return done.err


def test_statement_pooling_is_a_one_line_error(
    new_postgres: Callable[[], str], tmp_path: Path
) -> None:
    """R-33: transactions are not possible in this mode."""
    with running_pooler(new_postgres(), "statement") as pooled_url:
        line = error_of(shell_at(tmp_path, database_url=pooled_url), "db", "upgrade")
    assert "statement pooling mode" in line


def test_the_schema_is_created_and_dropped_through_a_pooler(
    database_and_pooler: tuple[str, str], tmp_path: Path
) -> None:
    """One transaction with its lock: no state remains in a session."""
    shell = shell_at(tmp_path, database_url=database_and_pooler[1])
    down = shell.run("db", "downgrade", "base", "--yes")
    up = shell.run("db", "upgrade")
    assert (down.code, up.code, "revision" in up.out) == (0, 0, True), (down, up)


def test_a_pooler_without_its_server_is_an_outage(database_and_pooler: tuple[str, str]) -> None:
    """R-03: 503, not an internal error."""
    database = Database(database_and_pooler[1])
    with database.reading() as connection:
        connection.execute(text("SELECT 1"))
    execute(
        url_of(database_and_pooler[0], "postgres"),
        f"DROP DATABASE {make_url(database_and_pooler[0]).database} WITH (FORCE)",
    )
    with pytest.raises(DatabaseUnavailable), database.reading() as connection:
        connection.execute(text("SELECT 1"))
    database.dispose()
