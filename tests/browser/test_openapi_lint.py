"""The OpenAPI document under the eyes of tools from npm."""

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
def tools(running: Site, npm: Npm) -> Npm:
    """The tools, beside the document of a running service."""
    document = running.backend.client().get("/openapi.json").get_data()
    (npm.folder / "openapi.json").write_bytes(document)
    return npm


def test_the_document_is_clean_under_the_strictest_rules(tools: Npm) -> None:
    """S-159: redocly's `recommended-strict` finds no error and no warning."""
    tools.run("redocly", "lint", "--extends=recommended-strict", "openapi.json")


def test_patterns_are_regular_expressions_of_javascript(tools: Npm) -> None:
    """As JSON Schema wants them (ECMA-262); Python's end of a text is the letter Z there."""
    found = json.loads(tools.node(PATTERNS))
    assert len(found) > 5
    assert [pattern for pattern in found if "\\Z" in pattern] == []
