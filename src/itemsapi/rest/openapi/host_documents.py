"""Write the rules of the gate into the documents of the application's own `flask_smorest.Api`s.

Such a document is built while the application registers its blueprints, before all rules are
known. So it is completed when the application is sealed: each operation gets `security`, and the
responses of the gate where it documents none of the same status; the components get the schemes,
and the tags the titles and groups of our blueprints.
The rest of the document is the application's. OpenAPI 2.0, 3.0 and 3.1 are supported; only 3.1
allows scopes for schemes other than OAuth's, so in the others `x-access` alone names them.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import flask_smorest
from apispec import APISpec
from flask import Flask

from itemsapi.gate import openapi
from itemsapi.gate.credentials import Credential
from itemsapi.gate.rulebook import Rulebook
from itemsapi.gate.rules import Rule
from itemsapi.observability.logging import log_failure
from itemsapi.problems import Problem
from itemsapi.rest.blueprint import Blueprint
from itemsapi.rest.documented_views import declared_problems
from itemsapi.rest.error_handlers import PROBLEM_JSON, PROBLEMS_URL
from itemsapi.rest.openapi.names import unique_name
from itemsapi.rest.openapi.operations import ALWAYS, problems_of_operation
from itemsapi.rest.openapi.responses import ProblemResponses
from itemsapi.rest.openapi.samples import add_code_samples
from itemsapi.rest.openapi.tags import TAG_GROUPS, Tags

SCOPES_SINCE = (3, 1)


def complete_documents(
    app: Flask,
    rulebook: Rulebook,
    own: type[flask_smorest.Api],
    credentials: Iterable[Credential] = (),
    *,
    public_url: str,
) -> None:
    """Write the rules into the documents of all `Api`s of the application except `own` ones.

    `public_url` is the address in code samples, unless a document has its own.

    An error is logged and leaves a document as it is: it must not stop the application.
    """
    for api in _apis(app, own):
        try:
            document = HostDocument(app, api, credentials)
            document.add_rules(rulebook)
            document.add_code_samples(public_url)
        except Exception as error:  # noqa: BLE001 - whatever plugins of the application raise
            log_failure("document_incomplete", "", error)


def titles_of_documents(app: Flask, own: type[flask_smorest.Api]) -> list[str]:
    """Return the titles of the documents of all `Api`s of the application except `own` ones."""
    return [api.spec.title for api in _apis(app, own)]


def _apis(app: Flask, own: type[flask_smorest.Api]) -> list[flask_smorest.Api]:
    """Return the `Api`s of the application, except `own` ones."""
    apis = app.extensions.get("flask-smorest", {}).get("apis", {}).values()
    return [each["ext_obj"] for each in apis if not isinstance(each["ext_obj"], own)]


class View(NamedTuple):
    """An endpoint and one of its methods."""

    endpoint: str
    method: str


class HostDocument:
    """The document of one `Api` of the application."""

    def __init__(
        self,
        app: Flask,
        api: flask_smorest.Api,
        credentials: Iterable[Credential] = (),
    ) -> None:
        """Take the `Api`, with all its blueprints registered, and the credentials of the gate."""
        self._app, self._api, self._credentials = app, api, tuple(credentials)
        self._spec: APISpec = api.spec
        version = self._spec.openapi_version
        self._is_version_2 = version.major == 2  # noqa: PLR2004
        self._has_scopes = (version.major, version.minor) >= SCOPES_SINCE
        self._names: dict[str, str] = {}  # of the schemes
        self._responses: _Responses | None = None

    def add_rules(self, rulebook: Rulebook) -> None:
        """Complete each operation that the document has and the rulebook knows."""
        paths = self._spec.to_dict()["paths"]  # the dictionary itself, no copy
        operations = [*self._operations(paths, rulebook)]
        if operations:
            self._add_schemes(rule for _, _, rule in operations)
            self._add_tags()
        for view, operation, rule in operations:
            self._complete(view, operation, rule)

    def add_code_samples(self, public_url: str) -> None:
        """Add samples to the operations; OpenAPI 2.0 describes bodies in another way."""
        content = self._spec.to_dict()
        servers = [server.get("url", "") for server in content.get("servers", ())]
        url = next((url for url in servers if url.startswith("http") and "{" not in url), None)
        if not self._is_version_2:
            add_code_samples(content, (url or public_url).rstrip("/"))

    def _add_tags(self) -> None:
        """Add titles and groups where the blueprints have some and the document has none."""
        content = self._spec.to_dict()
        tags: list[dict[str, Any]] = content.get("tags", [])  # the list itself, no copy
        described = Tags(self._app)
        described.complete(tags)
        if TAG_GROUPS not in content and any(described.group_of(tag["name"]) for tag in tags):
            self._spec.options[TAG_GROUPS] = described.groups(tags)

    def _operations(
        self, paths: Mapping[str, Any], rulebook: Rulebook
    ) -> Iterator[tuple[View, dict[str, Any], Rule]]:
        """Yield each operation once, with its view and rule."""
        rules = {(entry.endpoint, entry.method): entry.rule for entry in rulebook.entries}
        seen: set[tuple[str, str]] = set()
        for route in self._app.url_map.iter_rules():
            path = self._api.flask_plugin.flaskpath2openapi(route.rule)
            for method in sorted(route.methods or ()):
                operation = paths.get(path, {}).get(method.lower())
                rule = rules.get((route.endpoint, method))
                if operation is not None and rule is not None and (path, method) not in seen:
                    seen.add((path, method))
                    yield View(route.endpoint, method), operation, rule

    def _add_schemes(self, rules: Iterable[Rule]) -> None:
        """Add the security schemes; one whose name is taken gets another name."""
        components = self._spec.components
        for name, scheme in openapi.security_schemes(rules, (), self._credentials).items():
            self._names[name] = unique_name([name, f"itemsapi_{name}"], components.security_schemes)
            described = _to_version_2_scheme(scheme) if self._is_version_2 else dict(scheme)
            components.security_scheme(self._names[name], described)

    def _complete(self, view: View, operation: dict[str, Any], rule: Rule) -> None:
        operation["security"] = [
            {self._names[name]: scopes if self._has_scopes else [] for name, scopes in each.items()}
            for each in openapi.security_requirements(rule)
        ]
        operation["x-access"] = openapi.describe_rule(rule)
        responses: dict[str, Any] = operation.setdefault("responses", {})
        ours = self._own_problems(view, operation)
        kinds = {*openapi.problems_of_rule(rule), *ours}
        for status, response in self._problem_responses(kinds, rule.scope_names):
            if ours or status not in responses:
                responses[status] = response

    def _own_problems(self, view: View, operation: Mapping[str, Any]) -> set[type[Problem]]:
        """Return what a view of our `Blueprint` sends; stock blueprints send the application's."""
        blueprint = self._app.blueprints.get(view.endpoint.rpartition(".")[0])
        if not isinstance(blueprint, Blueprint):
            return set()
        function = self._app.view_functions[view.endpoint]
        function = getattr(getattr(function, "view_class", None), view.method.lower(), function)
        declared = declared_problems(function, view.method)
        return {*ALWAYS, *declared, *problems_of_operation(operation)}

    def _problem_responses(
        self, kinds: set[type[Problem]], scopes: Iterable[str]
    ) -> Iterator[tuple[str, Any]]:
        if kinds:
            if self._responses is None:
                url = self._app.extensions.get(PROBLEMS_URL, "")
                self._responses = _Responses(self._spec, url)
            yield from self._responses.responses(kinds, scopes).items()


class _Responses(ProblemResponses):
    """Problem responses whose components have names of their own, in any version of OpenAPI."""

    SCHEMA = "AccessProblem"
    PREFIX = "Access_"

    def response(self, kinds: list[type[Problem]], scope: str) -> dict[str, Any]:
        """Return one response for these problems, which all have the same status."""
        response = super().response(kinds, scope)
        if self.spec.openapi_version.major > 2:  # noqa: PLR2004
            return response
        media = response.pop("content")[PROBLEM_JSON]
        for header in response.get("headers", {}).values():
            header.update(header.pop("schema"))
        example = next(iter(media["examples"].values()))["value"]
        return {**response, "schema": media["schema"], "examples": {PROBLEM_JSON: example}}


def _to_version_2_scheme(scheme: Mapping[str, Any]) -> dict[str, Any]:
    """Return a scheme in the words of OpenAPI 2.0, which has no scheme for bearer tokens."""
    if scheme.get("type") != "http":
        return dict(scheme)
    text = {"description": scheme["description"]} if "description" in scheme else {}
    return {"type": "apiKey", "in": "header", "name": "Authorization", **text}
