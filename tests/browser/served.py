"""The service of the browser tests: with a clock that they move, and their own pages."""

import os
from datetime import datetime, timedelta
from pathlib import Path

from flask import Blueprint, Response, request

from itemsapi import create_app, public
from itemsapi.clock import now
from itemsapi.rest.static_files import Assets

SHIFT = Path(os.environ["ITEMSAPI_TEST_SHIFT"])
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

pages = Blueprint("test_pages", __name__)
HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "docs" / "examples"
files = Assets(HERE / "pages")
examples = Assets(EXAMPLES / "plain")
built = Path(os.environ["ITEMSAPI_TEST_SHIFT"]).parent / "built"


def clock() -> datetime:
    """Return the present, shifted as the test demands for all processes."""
    return now() + timedelta(seconds=float(SHIFT.read_text("ascii")))


@pages.get("/test/<name>")
@public("a page of the tests")
def show_file(name: str) -> Response:
    """Return a test page or script, with as strict a policy as the console's."""
    return files.send(request, name, policy=POLICY)


@pages.get("/example/<name>")
@public("the example of the guide")
def show_example(name: str) -> Response:
    """Return a file of the plain example."""
    return examples.send(request, name, policy=POLICY)


@pages.get("/built/<name>")
@public("a script that a test has built")
def show_built(name: str) -> Response:
    """Return a script that was built after the service had started."""
    return Assets(built).send(request, name, policy=POLICY)


application = create_app(blueprints=[pages], clock=clock)
