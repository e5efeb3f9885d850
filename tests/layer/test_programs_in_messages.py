"""Messages of a server process name the command of the application that it serves (R-35)."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from flask import Flask

from itemsapi.command_line import command_line
from support.app_factory import Backend

Protect = Callable[..., Backend]
Load = Callable[[str], ModuleType]

pytestmark = pytest.mark.dialect("sqlite")


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load modules from their source; they are removed at the end."""

    def load_module(source: str) -> ModuleType:
        module = ModuleType("shop_of_messages")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(source, module.__dict__)  # noqa: S102 - the source is in this file
        return module

    return load_module


def advice_of(app: Flask) -> str:
    """Return a command as a message in a request names it."""
    with app.test_request_context():
        return command_line("db upgrade")


def test_the_application_is_named_by_its_variable(protect: Protect, load: Load) -> None:
    """As `flask --app` does it."""
    module = load("from flask import Flask\nweb = Flask(__name__)")
    protect(module.web)
    assert advice_of(module.web) == "`itemsapi --app shop_of_messages:web db upgrade`"


def test_the_application_is_found_in_another_module(protect: Protect, load: Load) -> None:
    """A file for the server often has nothing but the call of a factory in a package."""
    module = load("from flask import Flask\napplication = Flask('package_of_messages')")
    protect(module.application)
    assert "--app shop_of_messages:application " in advice_of(module.application)


@pytest.mark.parametrize(
    ("parameters", "named"),
    [("", True), ("debug=False, *more, **options", True), ("settings", False)],
)
def test_a_factory_is_named_if_flask_can_call_it(
    protect: Protect, load: Load, parameters: str, named: bool
) -> None:
    """Otherwise the message shows what to fill in."""
    source = f"from flask import Flask\ndef create_app({parameters}):\n  return Flask(__name__)"
    app = load(source).create_app(*[None] * (not named))
    protect(app)
    place = "--app shop_of_messages" if named else "[--app MODULE:APP]"
    assert advice_of(app) == f"`itemsapi {place} db upgrade`"


def test_the_items_api_needs_no_name(make_backend: Callable[..., Backend]) -> None:
    """The commands are for it unless they name another application."""
    assert advice_of(make_backend().app) == "`itemsapi db upgrade`"


@pytest.mark.parametrize(("folder", "path"), [("", "start"), ("apps", "apps/start.py")])
def test_a_program_is_named_by_its_file(
    protect: Protect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: str, path: str
) -> None:
    """`python apps/start.py` is no module that another process could import."""
    monkeypatch.chdir(tmp_path)
    program = ModuleType("__main__")
    program.__file__ = str(Path(folder, "start.py"))
    program.__dict__["app"] = app = Flask("package_of_messages")
    monkeypatch.setitem(sys.modules, "__main__", program)
    protect(app)
    assert advice_of(app) == f"`itemsapi --app {path}:app db upgrade`"
