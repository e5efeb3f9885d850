"""The OpenAPI document, checked with tools from npm."""

import json

import pytest

from support.browser import Site
from support.npm_packages import Npm

pytestmark = pytest.mark.browser

PATTERNS = """
import { readFileSync } from "node:fs";
const found = [];
JSON.parse(readFileSync("openapi.json"), (name, value) => {
  if (name === "pattern") found.push(new RegExp(value, "u").source);
  return value;
});
console.log(JSON.stringify(found));
"""


@pytest.fixture(scope="module")
def tools(shared_site: Site, npm: Npm) -> Npm:
    """The npm packages, with the document of a running service."""
    document = shared_site.backend.client().get("/openapi.json").get_data()
    (npm.folder / "openapi.json").write_bytes(document)
    return npm


def test_the_document_passes_the_strictest_rules(tools: Npm) -> None:
    """S-159: redocly's `recommended-strict` reports no error and no warning."""
    tools.run("redocly", "lint", "--extends=recommended-strict", "openapi.json")


def test_patterns_are_javascript_regular_expressions(tools: Npm) -> None:
    """JSON Schema requires ECMA-262, which does not know Python's end of a text."""
    found = json.loads(tools.node(PATTERNS))
    assert len(found) > 5
    assert [pattern for pattern in found if "\\Z" in pattern] == []
