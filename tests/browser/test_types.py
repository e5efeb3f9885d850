"""TypeScript types generated from the OpenAPI document: they compile and are correct."""

from pathlib import Path

import pytest

from support.browser import Site, Window
from support.npm_packages import TESTS, Npm

TYPES = TESTS / "browser" / "types"


@pytest.fixture(scope="session")
def project(shared_site: Site, npm: Npm) -> Path:
    """A TypeScript project with the types of the running service."""
    folder = npm.copy(TYPES)
    document = shared_site.backend.client().get("/openapi.json").get_data()
    (folder / "openapi.json").write_bytes(document)
    document_to = [f"{folder}/openapi.json", "--default-non-nullable=false", "-o"]
    npm.run("openapi-typescript", *document_to, f"{folder}/api.d.ts")
    return folder


def test_generated_types_compile_with_the_client(npm: Npm, project: Path) -> None:
    """openapi-typescript, openapi-fetch and our client together; wrong calls are type errors."""
    npm.run("tsc", "-p", str(project))


def test_typed_post_is_retried_when_its_token_has_expired(
    site: Site, npm: Npm, project: Path, window: Window
) -> None:
    """The body is sent again after one 401, and the item is created once."""
    built = site.folder / "built"
    npm.run(
        "esbuild", f"{project}/client.ts", "--bundle", "--format=esm", f"--outfile={built}/c.js"
    )
    tab = window.spa(site)
    tab.evaluate("(url) => import(url)", f"{site.url}/built/c.js")
    tab.evaluate(
        "(name) => typed.login(name, 'plain horse battery staple')", site.create_user("member")
    )
    site.clock.advance(hours=1)
    tab.evaluate("() => typed.add('Chair').then((item) => typed.rename(item, 'Armchair'))")
    assert tab.evaluate("() => typed.names()") == ["Armchair"]
    assert site.proxy.statuses("/items", "POST") == [401, 201]
