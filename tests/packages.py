"""What tests take from npm: installed from a lock file into a temporary folder, never committed."""

import shutil
import subprocess
from pathlib import Path

TESTS = Path(__file__).parent
CLIENT = TESTS.parent / "clients" / "js"
LOCKED = TESTS / "browser" / "npm"


class Npm:
    """A folder with the packages of the lock file, and our client as one of them."""

    def __init__(self, folder: Path) -> None:
        """Install everything; no script of any package runs."""
        self.folder = folder
        shutil.copytree(LOCKED, folder, dirs_exist_ok=True)
        self._run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
        ours = self.folder / "node_modules" / "itemsapi-auth"
        ours.mkdir()
        for name in ("package.json", "itemsapi-auth.js", "itemsapi-auth.d.ts"):
            shutil.copy(CLIENT / name, ours)

    def run(self, tool: str, *arguments: str) -> str:
        """Run a tool of a package; what it says, if it fails, is the test's failure."""
        return self._run(str(self.folder / "node_modules" / ".bin" / tool), *arguments)

    def copy(self, source: Path) -> Path:
        """Lay a folder beside the packages, where it finds them."""
        return shutil.copytree(source, self.folder / source.name, dirs_exist_ok=True)

    def text(self, path: str) -> str:
        """Read a file of a package."""
        return (self.folder / "node_modules" / path).read_text("utf-8")

    def _run(self, *command: str) -> str:
        done = subprocess.run(  # noqa: S603 - the packages that the lock file names
            command, cwd=self.folder, capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
