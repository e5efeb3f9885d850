"""The OpenAPI document under the eyes of a linter from npm."""

import pytest

from browsing import Site
from packages import Npm

pytestmark = pytest.mark.browser


def test_the_document_is_clean_under_the_strictest_rules(running: Site, npm: Npm) -> None:
    """S-159: redocly's `recommended-strict` finds no error and no warning."""
    document = running.house.client().get("/openapi.json").get_data()
    (npm.folder / "openapi.json").write_bytes(document)
    npm.run("redocly", "lint", "--extends=recommended-strict", "openapi.json")
