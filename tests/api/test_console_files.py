"""The files of the console and the client, as a browser or a bundler requests them."""

import gzip
import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from flask.testing import FlaskClient

from itemsapi.audit import EventName
from itemsapi.problem_list import list_problems
from itemsapi.tokens.scopes import BUILTIN_SCOPES
from support.app_factory import Backend

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.dialect("sqlite")  # files do not depend on the database

LANGUAGES = ("en", "ja")
FILES = ["/console", "/console/main.js", "/console/layout.css", "/console/icon.svg"]
FILES += ["/client.js", "/client.js.map"]


@pytest.fixture
def api(backend: Backend) -> FlaskClient:
    """A browser without a session."""
    return backend.client()


def read_terms(api: FlaskClient, kind: str, language: str) -> dict[str, str]:
    """Return the console's words for names of the service, by name."""
    text = api.get(f"/console/terms.{language}.js").text
    return dict(re.findall(rf'^  "{kind}[.](.+?)": "(.+)",$', text, re.MULTILINE))


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
    title = re.findall(r'code:"backing_off",title:"(.+?)"', api.get("/client.js").text)
    assert title == [read_terms(api, "problem", "en")["backing_off"].partition(".")[0]]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_audit_event_has_words(api: FlaskClient, language: str) -> None:
    """A new event cannot be forgotten, in neither language."""
    assert read_terms(api, "event", language).keys() == {*get_args(EventName)}


def test_every_problem_has_japanese_words(api: FlaskClient) -> None:
    """In English the console falls back to the title."""
    own = [each for each in list_problems() if each.__module__.startswith("itemsapi.")]
    assert own
    assert read_terms(api, "problem", "ja").keys() >= {each.code for each in own}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_scope_has_words(api: FlaskClient, language: str) -> None:
    """Scopes of an application are shown with their description."""
    assert read_terms(api, "scope", language).keys() == {each.name for each in BUILTIN_SCOPES}


def test_scopes_have_the_same_words_in_the_console_and_the_document(api: FlaskClient) -> None:
    """A user who reads both recognises them."""
    described = {each.name: each.description for each in BUILTIN_SCOPES}
    assert read_terms(api, "scope", "en") == described


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
