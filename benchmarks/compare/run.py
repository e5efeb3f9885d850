"""Attack the same small application, written with one of several libraries.

    python benchmarks/compare/run.py                            # list the names
    python benchmarks/compare/run.py flask_jwt_extended         # in an environment of its own
    python benchmarks/compare/run.py itemsapi --python PYTHON   # in an existing environment

The application (`apps/with_NAME.py`) has a sign-in, and where the library has them a refresh and a
sign-out; `/orders` needs a right that ada has and eve has not, `/open` is for everybody, and
`/forgotten` is a route whose guard the developer forgot. `clients.py` says how each one is spoken
to. The output is a table in Markdown: what each attack got, and what 20 refreshes at once did.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
import tokenize
import venv
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from clients import CLIENTS, PASSWORD, Client, Tokens, forge_unsigned

HERE = Path(__file__).parent
ACCESS_SECONDS = 3  # an access token lives as long
RACING_REFRESHES = 20
LATE_SECONDS = 25  # more than the 20 seconds in which itemsapi tolerates races
FAILED = 400
NOT_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
NOT_CODE |= {tokenize.ENCODING, tokenize.ENDMARKER}


def lines_of_code(file: Path) -> int:
    """Return how many lines of a program have code: no blank lines, comments or docstrings."""
    lines: set[int] = set()
    statement_begins = True
    with file.open("rb") as source:
        for token in tokenize.tokenize(source.readline):
            is_docstring = token.type == tokenize.STRING and statement_begins
            if token.type not in NOT_CODE and not is_docstring:
                lines |= set(range(token.start[0], token.end[0] + 1))
            statement_begins = token.type in NOT_CODE
    return len(lines)


def environment(client: Client, folder: Path) -> str:
    """Return the Python of a new environment with the requirements of the application."""
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "-q", *client.requirements], check=True)
    return python


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(name: str, client: Client, python: str, folder: Path) -> "subprocess.Popen[bytes]":
    """Start the application and wait until it answers. Raise `RuntimeError` if it does not."""
    port = free_port()
    client.base = f"http://127.0.0.1:{port}"
    variables = {
        "PORT": str(port),
        "FOLDER": str(folder),
        "PASSWORD": PASSWORD,
        "ACCESS_SECONDS": str(ACCESS_SECONDS),
        "ITEMSAPI_DATA_DIR": str(folder),
        "ITEMSAPI_ACCESS_TTL": f"{ACCESS_SECONDS}s",
        "ITEMSAPI_RATE_LIMIT": "off",
    }
    os.environ.update(variables)
    client.prepare(python)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [python, str(HERE / "apps" / f"with_{name}.py")], stdout=log, stderr=log, cwd=folder
        )
    for _ in range(600):
        if process.poll() is not None:
            break
        try:
            client.send("GET", "/open")
        except OSError:
            time.sleep(0.1)
        else:
            return process
    raise RuntimeError(f"it did not start:\n{(folder / 'log').read_text()[-2000:]}")


def orders(client: Client, access: str | None, method: str = "GET") -> int:
    """Return the status of a request for the orders."""
    return client.send(method, "/orders", access=access).status


def attack(client: Client) -> dict[str, str]:
    """Return what each attack got; the first line is the control, which must be 200."""
    results = {"(control) ada with her token": str(orders(client, client.sign_in("ada").access))}
    results["no token"] = str(orders(client, None))
    results["HEAD without a token"] = str(orders(client, None, "HEAD"))
    forged = forge_unsigned(client.sign_in("ada").access)
    results["the token with `alg: none`"] = str(orders(client, forged)) if forged else "no JWT"
    results["the right is missing"] = str(orders(client, client.sign_in("eve").access))
    refresh = client.sign_in("ada").refresh
    results["a refresh token as access token"] = str(orders(client, refresh)) if refresh else "none"
    results["after the sign-out, the access token"] = after_sign_out(client)
    expiring = client.sign_in("ada").access
    time.sleep(ACCESS_SECONDS + 2)
    results["expired"] = str(orders(client, expiring))
    results["a route without a guard"] = str(client.send("GET", "/forgotten").status)
    return results


def after_sign_out(client: Client) -> str:
    """Return the status of the access token one second after its sign-out."""
    tokens = client.sign_in("ada")
    answer = client.sign_out(tokens)
    if answer is None:
        return "no sign-out"
    time.sleep(1)
    status = str(orders(client, tokens.access))
    return status if answer.status < FAILED else f"{status} (sign-out: {answer.status})"


def reuse(client: Client, wait: float) -> dict[str, str]:
    """Return what a copied refresh token gets some seconds after its owner used it twice."""
    stolen = client.sign_in("ada")
    owner = stolen
    for _ in range(2):
        answer = client.refresh(owner)
        if answer is None:
            return {"a used refresh token again": "no refresh"}
        owner = answer.tokens(owner)
    time.sleep(wait)
    thief, after = client.refresh(stolen), client.refresh(owner)
    gets = ", new tokens" if thief and thief.tokens(None).refresh else ""
    when = f"{wait} s later" if wait else "at once"
    return {
        f"a used refresh token again, {when}": f"{thief and thief.status}{gets}",
        f"then, the owner's own refresh ({when})": str(after and after.status),
    }


def race(client: Client) -> dict[str, str]:
    """Return what refreshes at once with one token get, and whether their client is signed in."""
    what = f"{RACING_REFRESHES} refreshes at once"
    tokens = client.sign_in("ada")
    with ThreadPoolExecutor(RACING_REFRESHES) as threads:
        answers = [*threads.map(client.refresh, [tokens] * RACING_REFRESHES)]
    if None in answers:
        return {what: "no refresh"}
    statuses = Counter(answer.status for answer in answers if answer)
    given = {answer.tokens(None).refresh for answer in answers if answer} - {None}
    newest = Tokens(tokens.access, next(iter(given), tokens.refresh))
    latest = client.refresh(newest)
    return {
        what: ", ".join(f"{number} x {status}" for status, number in sorted(statuses.items())),
        "different refresh tokens in the answers": str(len(given)),
        "then, a refresh with one of them": str(latest and latest.status),
    }


def main() -> None:
    """Run the attacks and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="?", choices=sorted(CLIENTS))
    parser.add_argument("--python", help="the Python of an environment with the requirements")
    arguments = parser.parse_args()
    if not arguments.name:
        print(*sorted(CLIENTS), sep="\n")
        return
    client = CLIENTS[arguments.name]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = arguments.python or environment(client, folder / "venv")
        (folder / "data").mkdir()
        command = [python, "-c", VERSION, client.distribution]
        version = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        process = start(arguments.name, client, python, folder / "data")
        try:
            results = attack(client) | reuse(client, 0) | reuse(client, LATE_SECONDS)
            results |= race(client)
        finally:
            process.terminate()
            process.wait()
    code = lines_of_code(HERE / "apps" / f"with_{arguments.name}.py")
    print(f"| {arguments.name} | {version} |\n|---|---|\n| lines of code | {code} |")
    for what, got in results.items():
        print(f"| {what} | {got} |")


VERSION = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"

if __name__ == "__main__":
    sys.exit(main())
