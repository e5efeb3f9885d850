"""Secrets are compared in constant time, and ids are not made of a generator that can be guessed.

S-191 and S-192: a rule over the source, and libraries that keep it.
"""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import jwt.algorithms
import pytest

import itemsapi
from itemsapi.tokens.sessions import attempt_hash
from support.rounds import rounds

SOURCE = Path(itemsapi.__file__).parent
SECRET = {
    "access", "access_token", "attempt", "attempt_id", "csrf", "current_password", "key_bytes",
    "mac", "nonce", "password", "presented", "refresh", "refresh_token", "secret", "secret_key",
    "signature", "token",
}  # fmt: skip
ALL = sorted(SOURCE.rglob("*.py"))


def word(node: ast.expr) -> str:
    """Return the name that an expression ends with."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
        case ast.Call(func=inner) if node.args == []:
            return word(inner)
        case _:
            return ""


def compared(source: str) -> list[str]:
    """Return the comparisons of a source that stop at the first byte which differs."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        plain = all(isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for op in node.ops)
        constant = any(isinstance(side, ast.Constant) for side in sides)  # known to everybody
        if plain and not constant and any(word(side).strip("_") in SECRET for side in sides):
            found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize("path", ALL, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_secret_is_compared_byte_by_byte(path: Path) -> None:
    """S-191: `hmac.compare_digest` does it, or a library that uses it."""
    assert compared(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "line",
    ["token == shown", "row.attempt != x", "f(body['refresh_token']) in seen or secret in seen"],
)
def test_the_rule_finds_what_it_forbids(line: str) -> None:
    """A rule that finds nothing proves nothing."""
    assert len(compared(line)) == 1


def test_signatures_are_compared_in_constant_time_by_the_library() -> None:
    """S-191: refresh tokens, and access tokens where HS256 is set."""
    assert "hmac.compare_digest" in inspect.getsource(jwt.algorithms.HMACAlgorithm.verify)


def test_attempts_are_kept_and_compared_as_hashes() -> None:
    """S-191: the id itself is nowhere, and what is compared has one length."""
    hashed = {len(attempt_hash("s", "x" * length) or "") for length in (22, 128)}
    assert hashed == {64}


def calls_of_random(path: Path) -> set[str]:
    """Return the calls of the module `random` in a file."""
    tree = ast.parse(path.read_text("utf-8"))
    return {
        ast.unparse(node.func)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("random.")
    }


def test_the_generator_that_can_be_guessed_spreads_times_and_nothing_else() -> None:
    """S-192: no id, key or password is made of it; it would repeat itself after a fork, too."""
    assert set().union(*map(calls_of_random, ALL)) == {"random.uniform"}


FORKING = """
import os, sys
from itemsapi.accounts.passwords import make_temporary_password
from itemsapi.clock import new_id

count = int(sys.argv[1])
new_id(), make_temporary_password()  # whatever is kept between two calls is there before the fork
for _ in range(8):
    if os.fork() == 0:
        made = [f"{new_id()[15:]} {make_temporary_password()} " for _ in range(count)]
        os.write(1, "".join(made).encode())
        os._exit(0)
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
"""
EACH = rounds(125_000, 2000)


def made_by_forked_workers(folder: Path) -> list[str]:
    """Let eight forked processes make ids and passwords; return all of them, without the time."""
    with (folder / "made").open("w+") as file:
        command = [sys.executable, "-c", FORKING, str(EACH)]
        subprocess.run(command, check=True, stdout=file, timeout=300)  # noqa: S603 - our own
        file.seek(0)
        return file.read().split()


@pytest.mark.full
def test_eight_forked_workers_never_make_the_same(tmp_path: Path) -> None:
    """S-192: neither ids, the time left out, nor passwords; a million in the full run."""
    made = made_by_forked_workers(tmp_path)
    assert (len(made), len(set(made))) == (2 * 8 * EACH, 2 * 8 * EACH)
