"""Secrets are compared in constant time, and ids come from a secure random generator.

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
from itemsapi.tokens.rotation import attempt_hash
from support.rounds import rounds

SOURCE = Path(itemsapi.__file__).parent
SECRET = {
    "access", "access_token", "attempt", "attempt_id", "csrf", "current_password", "key_bytes",
    "mac", "nonce", "password", "presented", "refresh", "refresh_token", "secret", "secret_key",
    "signature", "token",
}  # fmt: skip
ALL = sorted(SOURCE.rglob("*.py"))


def last_name(node: ast.expr) -> str:
    """Return the last name of an expression."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
        case ast.Call(func=inner) if node.args == []:
            return last_name(inner)
        case _:
            return ""


def unsafe_comparisons(source: str) -> list[str]:
    """Return the comparisons in a source that stop at the first different byte."""
    comparisons = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        plain = all(isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for op in node.ops)
        constant = any(isinstance(side, ast.Constant) for side in sides)  # known to everybody
        if plain and not constant and any(last_name(side).strip("_") in SECRET for side in sides):
            comparisons.append(ast.unparse(node))
    return comparisons


@pytest.mark.parametrize("path", ALL, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_secret_is_compared_byte_by_byte(path: Path) -> None:
    """S-191: `hmac.compare_digest` does it, or a library that uses it."""
    assert unsafe_comparisons(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "line",
    ["token == shown", "row.attempt != x", "f(body['refresh_token']) in seen or secret in seen"],
)
def test_unsafe_comparisons_are_found(line: str) -> None:
    """A check that finds nothing proves nothing."""
    assert len(unsafe_comparisons(line)) == 1


def test_signatures_are_compared_in_constant_time_by_the_library() -> None:
    """S-191: refresh tokens, and access tokens where HS256 is set."""
    assert "hmac.compare_digest" in inspect.getsource(jwt.algorithms.HMACAlgorithm.verify)


def test_attempt_ids_are_stored_and_compared_as_hashes() -> None:
    """S-191: all hashes have one length."""
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


def test_the_insecure_generator_is_used_for_jitter_only() -> None:
    """S-192: no id, key or password comes from it; it would also repeat itself after a fork."""
    assert set().union(*map(calls_of_random, ALL)) == {"random.uniform"}


FORKING = """
import os, sys
from itemsapi.accounts.password_policy import generate_password
from itemsapi.clock import new_id

def make():
    return f"{new_id()[15:]} {generate_password(username='ada', minimum=15)} "

count = int(sys.argv[1])
make()  # whatever is kept between two calls is there before the fork
for _ in range(8):
    if os.fork() == 0:
        made = [make() for _ in range(count)]
        os.write(1, "".join(made).encode())
        os._exit(0)
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
"""
EACH = rounds(125_000, 2000)


def made_by_forks(folder: Path) -> list[str]:
    """Create ids and passwords in eight forked processes; return them, without the time."""
    with (folder / "made").open("w+") as file:
        command = [sys.executable, "-c", FORKING, str(EACH)]
        subprocess.run(command, check=True, stdout=file, timeout=300)  # noqa: S603 - our own
        file.seek(0)
        return file.read().split()


@pytest.mark.full
def test_forked_processes_create_different_ids_and_passwords(tmp_path: Path) -> None:
    """S-192: ids without their time, and passwords; a million in the full run."""
    made = made_by_forks(tmp_path)
    assert (len(made), len(set(made))) == (2 * 8 * EACH, 2 * 8 * EACH)
