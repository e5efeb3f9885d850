"""What a view declares for the document: its problems, and examples that are functions."""

# ruff: noqa: ANN401 - the signatures are Flask-Smorest's

from collections.abc import Mapping
from typing import Any

import flask
import flask_smorest

from itemsapi.problems import PreconditionFailed, PreconditionRequired, Problem
from itemsapi.rest.etags import view_metadata

PROBLEMS = "problems"
DOCUMENTS_PROBLEMS = "documents_problems"  # an attribute of an `Api` that can


def declared_problems(view: object, method: str) -> list[type[Problem]]:
    """Return the problems that `alt_response` and `etag` declare for a view."""
    return _declared_problems(view_metadata(view), method)


def _declared_problems(metadata: Mapping[str, Any], method: str) -> list[type[Problem]]:
    problems = list(metadata.get(PROBLEMS, ()))
    if metadata.get("etag"):
        is_change = method.upper() in flask_smorest.Blueprint.METHODS_NEEDING_CHECK_ETAG
        problems += [PreconditionFailed, PreconditionRequired] if is_change else []
        problems += [PreconditionFailed] if method.lower() == "get" else []
    return problems


def prepare_examples_doc(doc: Any, doc_info: Any, *, app: flask.Flask, **_: Any) -> Any:
    """Call each example that is a function: it knows what this application has."""
    del doc_info
    bodies = [doc.get("requestBody", {}), *doc.get("responses", {}).values()]
    contents = [body.get("content", {}) for body in bodies if isinstance(body, dict)]
    for media in (media for content in contents for media in content.values()):
        if callable(media.get("example")):
            with app.app_context():
                media["example"] = media["example"]()
    return doc


def prepare_problems_doc(doc: Any, doc_info: Any, *, api: Any, method: str, **_: Any) -> Any:
    """Pass these problems to `RulesPlugin`, in a document of our own `Api`."""
    if getattr(api, DOCUMENTS_PROBLEMS, False):
        doc["x-problems"] = _declared_problems(doc_info, method)
    return doc
