"""The files of the console and the client, as a browser or a bundler requests them."""

import gzip
import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from support.app_factory import Backend

pytestmark = pytest.mark.dialect("sqlite")  # files do not depend on the database

FILES = ["/console", "/console/main.js", "/console/layout.css", "/console/icon.svg", "/client.js"]


@pytest.fixture
def api(backend: Backend) -> FlaskClient:
    """A browser without a session."""
    return backend.client()


@pytest.mark.parametrize("path", FILES)
def test_a_file_is_not_sent_again_when_the_browser_has_it(api: FlaskClient, path: str) -> None:
    """304 without a body, under the same policy."""
    first = api.get(path)
    again = api.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    policy = "Content-Security-Policy"
    assert again.headers[policy] == first.headers[policy]


@pytest.mark.parametrize("path", FILES)
def test_a_file_is_compressed_when_the_browser_accepts_it(api: FlaskClient, path: str) -> None:
    """Caches keep the two versions apart."""
    plain, zipped = api.get(path), api.get(path, headers={"Accept-Encoding": "br, gzip"})
    assert gzip.decompress(zipped.data) == plain.data
    assert "Accept-Encoding" in plain.headers["Vary"]


@pytest.mark.parametrize("name", ["nothing.js", "..%2fconsole.py", "icon.svg%00.js"])
def test_other_files_are_not_found(api: FlaskClient, name: str) -> None:
    """The files are a closed list, not a path (S-006)."""
    assert api.get(f"/console/{name}").status_code == 404


def test_console_and_client_have_the_same_error_texts(api: FlaskClient) -> None:
    """A user who searches for a text finds it."""
    client, messages = (api.get(path).text for path in ("/client.js", "/console/messages.en.js"))
    title = re.findall(r'code: "backing_off", title: "(.+?)"', client)
    texts = re.findall(r'"problem.backing_off": "(.+?)[.] ', messages)
    assert title == texts != []


@pytest.mark.parametrize("length", [12, 15])
def test_the_console_shows_the_minimum_password_length(
    make_backend: Callable[..., Backend], length: int
) -> None:
    """S-040: at the field, before a password is rejected."""
    backend = make_backend(password_min_length=length)
    page = backend.client().get("/console").get_data(as_text=True)
    assert f'<meta name="password-min-length" content="{length}">' in page
