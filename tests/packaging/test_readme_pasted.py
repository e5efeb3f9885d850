"""The README's commands, pasted into a shell as they are, against a service in an empty folder."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.free_port import free_port
from support.installed import TIMEOUT_SECONDS, environment

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
CONSOLE = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)$", re.MULTILINE)  # a line may end with a backslash


@pytest.fixture(scope="module")
def pasted(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What the commands of all blocks write, one after the other in one shell."""
    folder, port = tmp_path_factory.mktemp("pasted"), free_port()
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    with subprocess.Popen(  # the command that `./run` ends with
        [installed / "itemsapi", "serve", "--admin", "admin", "--port", str(port)],
        cwd=folder, env=environment(installed), text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            password = next(line.split()[1] for line in process.stdout if "Password" in line)
            script = "\n".join(command for block in CONSOLE for command in COMMAND.findall(block))
            script = script.replace("localhost:8000", f"localhost:{port}")
            script = re.sub(r"(?m)^PASSWORD=\w+", f"PASSWORD={password}", script)
            yield subprocess.run(
                ["/bin/sh", "-eu", "-c", script], cwd=folder, env=environment(installed),
                capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=True,
            ).stdout  # fmt: skip
        finally:
            process.terminate()


def test_the_refusals_come_in_the_order_of_the_readme(pasted: str) -> None:
    """Each variable is set by a command above it: an unset one stops the shell."""
    shown = re.findall(r'"code":"(\w+)"', "".join(CONSOLE))
    assert re.findall(r'"code":"(\w+)"', pasted) == shown
    assert "HTTP/1.1 403" in pasted


def test_the_password_is_changed_at_the_end(pasted: str) -> None:
    """The last answer has the new tokens of the session."""
    assert pasted.splitlines()[-1].startswith('{"access_token":"')
