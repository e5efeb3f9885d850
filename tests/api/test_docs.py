"""The documentation: ReDoc, the OpenAPI document and the explanations of problems."""

import gzip
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from itemsapi.endpoints.docs import STATIC
from itemsapi.problem_list import list_problems
from support.echo_blueprint import echo_client

REDOC = STATIC / "redoc"
OPENED_FILES = """
import sys
names = []
sys.addaudithook(lambda event, args: event in {"open", "os.listdir"} and names.append(str(args[0])))
import itemsapi.endpoints
print([name for name in names if "static" in name and ".py" not in name])
"""


def _files(api: FlaskClient) -> list[str]:
    page = api.get("/docs").get_data(as_text=True)
    return re.findall(r'(?:src|href)="(/docs/static/[^"]+)"', page)


def test_document_is_public(api: FlaskClient) -> None:
    """It is rendered once and has an ETag."""
    response = api.get("/openapi.json")
    assert (response.content_type, response.get_json()["openapi"]) == ("application/json", "3.1.0")
    assert response.headers["Cache-Control"] == "no-cache"


def test_document_is_not_sent_again_when_the_client_has_it(api: FlaskClient) -> None:
    """RFC 9110 section 13.1.2: 304."""
    tag = api.get("/openapi.json").headers["ETag"]
    response = api.get("/openapi.json", headers={"If-None-Match": tag})
    assert (response.status_code, response.data, response.headers["ETag"]) == (304, b"", tag)


def test_page_refers_to_no_foreign_host(api: FlaskClient) -> None:
    """S-140: everything is served by this service."""
    page = api.get("/docs").get_data(as_text=True)
    assert "//" not in page.replace("<!doctype html>", "")
    assert len(_files(api)) == 3


def test_policy_allows_only_our_files(api: FlaskClient) -> None:
    """S-140: a fresh nonce for styles, no inline script, no eval."""
    policies = [api.get("/docs").headers["Content-Security-Policy"] for _ in range(2)]
    nonces = [re.findall("'nonce-([^']{20,})'", policy) for policy in policies]
    assert "script-src 'self';" in policies[0]
    assert nonces[0] != nonces[1]


def test_nonce_of_the_page_is_the_one_of_its_policy(api: FlaskClient) -> None:
    """Otherwise ReDoc's styles would be blocked."""
    response = api.get("/docs")
    nonce = re.findall('nonce="([^"]+)"', response.get_data(as_text=True))
    assert f"'nonce-{nonce[0]}'" in response.headers["Content-Security-Policy"]


def test_a_file_is_not_sent_again_when_the_browser_has_it(api: FlaskClient) -> None:
    """ReDoc takes a megabyte."""
    first = [api.get(name) for name in _files(api)]
    tags = [{"If-None-Match": response.headers["ETag"]} for response in first]
    again = [api.get(name, headers=tag) for name, tag in zip(_files(api), tags, strict=True)]
    assert {response.status_code for response in again} == {304}


def test_files_have_their_media_types(api: FlaskClient) -> None:
    """Browsers run no script of another type (`nosniff`)."""
    assert {api.get(name).content_type for name in _files(api)} == {
        "text/css; charset=utf-8",
        "text/javascript; charset=utf-8",
    }


def test_importing_the_endpoints_reads_no_static_file() -> None:
    """They are 3 MB, and a service without documentation and console needs none of them."""
    command = [sys.executable, "-c", OPENED_FILES]
    done = subprocess.run(command, capture_output=True, check=True)  # noqa: S603 - our own program
    assert done.stdout == b"[]\n"


def test_file_is_compressed_when_the_client_accepts_it(api: FlaskClient) -> None:
    """Caches keep the two versions apart."""
    name = next(name for name in _files(api) if "redoc" in name)
    plain, zipped = api.get(name), api.get(name, headers={"Accept-Encoding": "br, gzip"})
    assert gzip.decompress(zipped.data) == plain.data
    assert "Accept-Encoding" in plain.headers["Vary"]


@pytest.mark.parametrize("name", ["nothing.js", "docs.html", "..%2fdocs.html", "VENDORED.json"])
def test_other_files_are_not_found(api: FlaskClient, name: str) -> None:
    """The files are a closed list, not a path."""
    assert api.get(f"/docs/static/{name}").status_code == 404


def test_every_problem_is_explained_where_its_type_points(api: FlaskClient) -> None:
    """RFC 9457 section 3.1.1: `type` leads to a text for people."""
    page = api.get("/docs/problems").get_data(as_text=True)
    assert all(f'<section id="{kind.code}">' in page for kind in list_problems())


def test_docs_are_not_found_when_switched_off(tmp_path: Path) -> None:
    """S-160: exposed only as configured."""
    api = echo_client(tmp_path, docs=False)
    responses = [api.get(path) for path in ("/docs", "/openapi.json", "/docs/problems")]
    assert [response.status_code for response in responses] == [404, 404, 404]


@pytest.mark.parametrize("folder", [REDOC, STATIC / "swagger"], ids=lambda path: path.name)
def test_vendored_files_have_the_recorded_hashes(folder: Path) -> None:
    """S-161: version, licence and hashes are recorded beside them."""
    record = json.loads((folder / "VENDORED.json").read_text("utf-8"))
    hashes = {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in record["sha256"]}
    assert hashes == record["sha256"]
    assert {path.name for path in folder.iterdir()} == {*hashes, "VENDORED.json"}


def test_bundle_refers_to_no_other_host() -> None:
    """The address of the logo was replaced."""
    bundle = (REDOC / "redoc.js").read_bytes()
    assert b"cdn.redoc.ly" not in bundle
    assert b"redoc.standalone.js.map" not in bundle


def test_every_problem_is_in_the_index(api: FlaskClient) -> None:
    """A list of some forty sections needs one."""
    page = api.get("/docs/problems").get_data(as_text=True)
    assert all(f'<a href="#{kind.code}">' in page for kind in list_problems())
