"""npm packages for tests: installed from a lock file into a temporary folder, never committed."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
CLIENT = ROOT / "clients" / "js"
CONSOLE = ROOT / "src" / "itemsapi" / "endpoints" / "console_static"
LOCKED = TESTS / "browser" / "npm"


class Project:
    """A folder with the packages of its lock file; no package scripts are run."""

    def __init__(self, folder: Path) -> None:
        """Install the packages."""
        self.folder = folder
        self._run("npm", "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund")

    def script(self, name: str) -> str:
        """Run a script of the project; return its output."""
        return self._run("npm", "run", "--silent", name)

    def node(self, script: str) -> str:
        """Run JavaScript in the project; return its output."""
        return self._run("node", "--input-type=module", "--eval", script)

    def _run(self, *command: str) -> str:
        done = subprocess.run(  # noqa: S603 - the packages that the lock file names
            command, cwd=self.folder, capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def client_in(folder: Path) -> Project:
    """Copy our client, and the console that uses it, into a folder."""
    for part in (CLIENT, CONSOLE):
        unwanted = shutil.ignore_patterns("node_modules")
        shutil.copytree(part, folder / part.relative_to(ROOT), ignore=unwanted)
    return Project(folder / CLIENT.relative_to(ROOT))


class Npm(Project):
    """The npm packages that tests use, with our client as one of them."""

    def __init__(self, folder: Path) -> None:
        """Install the packages."""
        shutil.copytree(LOCKED, folder, dirs_exist_ok=True)
        super().__init__(folder)
        ours = self.folder / "node_modules" / "itemsapi-auth"
        ours.mkdir()
        files = ("itemsapi-auth.js", "itemsapi-auth.d.ts", "problem-codes.d.ts")
        for name in ("package.json", *files):
            shutil.copy(CLIENT / name, ours)

    def run(self, tool: str, *arguments: str) -> str:
        """Run a tool of a package; if it fails, its output is the assertion message."""
        return self._run(str(self.folder / "node_modules" / ".bin" / tool), *arguments)

    @contextmanager
    def running(self, tool: str, *arguments: str) -> Iterator[Path]:
        """Run a tool of a package until the block ends; yield the file of its output."""
        program, output = self.folder / "node_modules" / ".bin" / tool, self.folder / f"{tool}.log"
        with output.open("wb") as written, subprocess.Popen(  # noqa: S603 - of the lock file
            [program, *arguments], cwd=self.folder, env=os.environ | {"NO_COLOR": "1"},
            stdin=subprocess.DEVNULL, stdout=written, stderr=written,
        ) as process:  # fmt: skip
            try:
                yield output
            finally:
                process.terminate()

    def copy(self, source: Path) -> Path:
        """Copy a folder beside the packages, so that it can import them."""
        return shutil.copytree(source, self.folder / source.name, dirs_exist_ok=True)

    def text(self, path: str) -> str:
        """Read a file of a package."""
        return (self.folder / "node_modules" / path).read_text("utf-8")
