"""The files of the console and the client, as a browser or a bundler requests them."""

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from support.app_factory import Backend

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.dialect("sqlite")  # files do not depend on the database

FILES = ["/console", "/console/main.js", "/console/layout.css", "/console/icon.svg"]
FILES += ["/client.js", "/client.js.map"]


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
    title = re.findall(r'code:"backing_off",title:"(.+?)"', client)
    texts = re.findall(r'"problem.backing_off": "(.+?)[.] ', messages)
    assert title == texts != []


def test_source_of_the_client_is_readable_in_developer_tools(api: FlaskClient) -> None:
    """The minified file names the source map, which contains the source with its comments."""
    *_, last_line = api.get("/client.js").text.splitlines()
    (name,) = re.findall(r"^//# sourceMappingURL=(.+)$", last_line)
    (source,) = api.get(f"/{name}").get_json(force=True)["sourcesContent"]
    assert source == (ROOT / "clients" / "js" / "itemsapi-auth.js").read_text("utf-8")


@pytest.mark.parametrize("name", ["docs/spa.md", "clients/js/README.md"])
def test_documents_tell_the_size_of_the_client_that_is_served(api: FlaskClient, name: str) -> None:
    """In kilobytes, compressed."""
    length = len(api.get("/client.js", headers={"Accept-Encoding": "gzip"}).data)
    told = re.findall(r"([\d.]+) KB", (ROOT / name).read_text("utf-8"))
    assert told == [f"{length / 1000:.1f}"]


@pytest.mark.parametrize("length", [12, 15])
def test_the_console_shows_the_minimum_password_length(
    make_backend: Callable[..., Backend], length: int
) -> None:
    """S-040: at the field, before a password is rejected."""
    backend = make_backend(password_min_length=length)
    page = backend.client().get("/console").get_data(as_text=True)
    assert f'<meta name="password-min-length" content="{length}">' in page
