"""The site of the documents, by Sphinx: `./test -e docs` builds it.

The Markdown files are read as they are, and stay readable on a code host; so the source folder is
the checkout itself. All files of the site are its own: a page makes no request to another host.
"""

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
REPOSITORY = "https://github.com/itemsapi/itemsapi/blob/main"
# The order in which people come. Below an index or a README are the pages of its folder.
CHAPTERS = {
    "Start": ["README", "docs/tutorial/index"],
    "Build": [
        "docs/adopt",
        "docs/users",
        "docs/rules",
        "docs/migrations",
        "docs/testing",
        "docs/spa",
        "clients/js/README",
    ],
    "Operate": ["docs/operations", "docs/verify", "SECURITY"],
    "Reference": ["docs/settings", "docs/commands", "docs/problems", "docs/reference"],
    "Background": [
        "docs/architecture",
        "docs/glossary",
        "docs/adr/README",
        "docs/requirements",
        "docs/compare",
    ],
    "Project": ["CONTRIBUTING", "CHANGELOG"],
    "日本語": ["README.ja", "docs/ja/tutorial/index"],
}
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)(#[^)\s]*)?(?=\))")

project = "itemsapi"
author = "The itemsapi maintainers"
root_doc = "README"
extensions = ["myst_parser", "sphinx_copybutton"]
include_patterns = [
    "README*.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "clients/js/README.md",
    "docs/**.md",
]
exclude_patterns = [".*", "src", "tests", "benchmarks", "migrations", "scripts", "**/node_modules"]

myst_heading_anchors = 4  # as code hosts make them
myst_links_external_new_tab = False
suppress_warnings = ["misc.highlighting_failure"]  # a shortened JSON is no JSON

html_theme = "furo"
html_title = "itemsapi"
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_use_index = False
html_theme_options = {"navigation_with_keys": True}
html_static_path = ["_static"]
html_css_files = ["site.css"]
copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True
copybutton_line_continuation_character = "\\"


def contents() -> str:
    """Return the table of contents, which the README has on the site and nowhere else."""
    return "\n\n".join(toctree(pages, caption) for caption, pages in CHAPTERS.items())


def toctree(pages: list[str], caption: str = "") -> str:
    """Return the directive for a list of pages that only the menu shows."""
    options = [":hidden:", ":glob:", f":caption: {caption}" if caption else ":titlesonly:"]
    entries = ["self" if page == root_doc else f"/{page}" for page in pages]
    return "\n".join(["```{toctree}", *options, "", *entries, "```"])


def target_on_the_site(app: "Sphinx", page: str, link: re.Match[str]) -> str:
    """Return a link as it is to a page, and to the repository for any other file of it."""
    path, anchor = link.group(1), link.group(2) or ""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
    if f"{target}/README" in app.env.found_docs:
        return posixpath.join(path, "README.md")
    is_page = target.removesuffix(".md") in app.env.found_docs or target.endswith(".svg")
    if is_page or not (ROOT / target).exists():
        return path + anchor  # one that is not there is reported by the build
    return f"{REPOSITORY}/{target}{anchor}"


def prepare(app: "Sphinx", page: str, source: list[str]) -> None:
    """Add to the text of a page what only the site needs."""
    source[0] = LINK.sub(lambda link: target_on_the_site(app, page, link), source[0])
    folder, _, name = page.rpartition("/")
    if page == root_doc:
        source[0] += f"\n\n{contents()}\n"
    elif name in {"index", "README"} and folder.startswith("docs/"):
        source[0] += f"\n\n{toctree([f'{folder}/*'])}\n"


def name_language(
    _app: "Sphinx", page: str, _template: str, context: dict[str, Any], *_: Any
) -> None:
    """Tell browsers and screen readers which language a page is in."""
    is_japanese = page.startswith("docs/ja/") or page.endswith(".ja")
    context["language"] = "ja" if is_japanese else "en"


def write_index(app: "Sphinx", failure: Exception | None) -> None:
    """Make the README the first page of the folder too."""
    first = Path(app.outdir) / f"{root_doc}.html"
    if failure is None and first.exists():
        first.with_name("index.html").write_bytes(first.read_bytes())


def setup(app: "Sphinx") -> None:
    """Connect the functions above with the build."""
    app.connect("source-read", prepare)
    app.connect("html-page-context", name_language)
    app.connect("build-finished", write_index)
