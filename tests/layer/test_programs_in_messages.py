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


def test_an_application_of_a_factory_is_left_to_the_reader(protect: Protect, load: Load) -> None:
    """Its module may have several factories, of applications with databases of their own."""
    app = load("from flask import Flask\ndef create_app():\n  return Flask(__name__)").create_app()
    protect(app)
    assert advice_of(app) == "`itemsapi [--app MODULE:APP] db upgrade`"


class LazyModule(ModuleType):
    """A module that is imported when somebody asks for one of its names, and cannot be."""

    def __getattribute__(self, name: str) -> object:
        """Fail, as the import would."""
        raise ImportError(name)


def test_no_lazy_module_is_imported(
    protect: Protect, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its failure would replace the message that is asked for."""
    monkeypatch.setitem(sys.modules, "a_lazy_module", LazyModule("a_lazy_module"))
    app = load("from flask import Flask\nmade = [Flask(__name__)]").made[0]
    protect(app)
    assert "[--app MODULE:APP]" in advice_of(app)


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


@pytest.mark.parametrize("file", [None, "<stdin>", "my.app.py", "app.wsgi"])
def test_a_program_that_no_other_process_can_import_is_left_to_the_reader(
    protect: Protect, monkeypatch: pytest.MonkeyPatch, file: str | None
) -> None:
    """`python -c` has no file at all."""
    program = ModuleType("__main__")
    program.__dict__["app"] = app = Flask("package_of_messages")
    if file:
        program.__file__ = file
    monkeypatch.setitem(sys.modules, "__main__", program)
    protect(app)
    assert advice_of(app) == "`itemsapi [--app MODULE:APP] db upgrade`"
