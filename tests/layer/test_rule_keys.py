"""Rules by key: which key decides, and what happens while a key or two are wrong."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from werkzeug.routing import Rule as Route

from itemsapi import AuthLayer, Scope, public, requires, signed_in
from itemsapi.extension import gate_of
from itemsapi.gate.rulebook import RulesInvalid
from support.app_factory import Backend

Protect = Callable[..., Backend]

pytestmark = pytest.mark.dialect("sqlite")

ADMIN = requires(Scope("shop:admin", "Manage the shop"))
ALL = public("all may")
MISSPELLED = {"POST /hookz/*": ADMIN, "/hooks/exact": ALL, "/*": ALL}


def show_done(**_: object) -> str:
    """Respond with a word."""
    return "done"


def make_shop(**paths: str) -> Flask:
    """Return an application with these paths by endpoint (`__` is a dot), without rules."""
    app = Flask("shop", static_folder=None)
    for name, path in paths.items():
        endpoint = name.replace("__", ".")
        app.add_url_rule(path, endpoint, show_done, methods=["GET", "POST"])
    return app


def faults_of(protect: Protect, app: Flask, rules: dict[str, Any]) -> list[str]:
    """Put the layer around an application, and return the faults of its rules."""
    protect(app, rules=rules)
    return gate_of(app).seal(app).faults


def kinds_of(protect: Protect, app: Flask, rules: dict[str, Any]) -> dict[str, str]:
    """Return the kind of rule of each GET of the application, by path."""
    protect(app, rules=rules)
    matrix = AuthLayer.seal(app).matrix()
    own = [entry for entry in matrix if not entry.endpoint.startswith("itemsapi.")]
    return {entry.path: entry.rule.kind for entry in own if entry.method == "GET"}


def make_hooks() -> Flask:
    """Return an application with a decorator on one of its routes."""
    app = make_shop(hook="/hooks/bank", exact="/hooks/exact", page="/page")
    app.add_url_rule("/decorated", "decorated", public("a test")(lambda: "done"))
    return app


@pytest.mark.parametrize("path", ["/hooks/bank", "/page"])
def test_no_pattern_opens_a_route_while_a_key_is_misspelled(protect: Protect, path: str) -> None:
    """It may be the guard of this route (S-002)."""
    client = protect(make_hooks(), rules=MISSPELLED).client()
    assert (client.post(path).status_code, client.get(path).status_code) == (403, 403)


@pytest.mark.parametrize("path", ["/hooks/exact", "/decorated"])
def test_exact_keys_and_decorators_decide_while_another_key_is_misspelled(
    protect: Protect, path: str
) -> None:
    """They name their route themselves (S-002)."""
    assert protect(make_hooks(), rules=MISSPELLED).client().get(path).status_code == 200


def test_a_developer_reads_which_key_is_misspelled(protect: Protect) -> None:
    """In testing the request fails with the key."""
    app = make_hooks()
    app.testing = True
    client = protect(app, rules=MISSPELLED).client()
    with pytest.raises(
        RulesInvalid, match=r"GET /page .* 'POST /hookz/\*' matches no route of the application"
    ):
        client.get("/page")


def test_an_endpoint_pattern_and_a_path_pattern_are_not_compared(protect: Protect) -> None:
    """The longer text would open a route of the part that the other guards (S-001)."""
    app = make_shop(admin__list="/admin/public/list")
    client = protect(app, rules={"admin.*": ADMIN, "/admin/public/*": ALL}).client()
    assert client.get("/admin/public/list").status_code == 403


def test_the_fault_of_two_patterns_says_which_key_to_write(protect: Protect) -> None:
    """An exact key decides before both."""
    app = make_shop(admin__list="/admin/public/list")
    fault = faults_of(protect, app, {"admin.*": ADMIN, "/admin/public/*": ALL})[0]
    assert fault == (
        "route GET /admin/public/list has more than one access rule: by the key 'admin.*' and by"
        " the key '/admin/public/*'; neither is closer, so write a key for it alone,"
        " 'GET /admin/public/list'"
    )


def test_patterns_of_two_kinds_may_give_the_same_rule(protect: Protect) -> None:
    """Then nothing is to be decided."""
    app = make_shop(admin__list="/admin/list")
    assert faults_of(protect, app, {"admin.*": ALL, "/admin/*": ALL}) == []


@pytest.mark.parametrize("every_route", ["/*", "*", "GET,POST /*"])
def test_a_pattern_for_every_route_is_the_last_whatever_its_kind(
    protect: Protect, every_route: str
) -> None:
    """So a fallback may stand beside endpoints and paths (S-002)."""
    app = make_shop(hooks__bank="/hooks/bank", tea="/tea", rest="/rest")
    rules = {every_route: ADMIN, "hooks.*": ALL, "/te*": signed_in}
    kinds = kinds_of(protect, app, rules)
    assert kinds == {"/hooks/bank": "public", "/tea": "signed in", "/rest": "scopes"}


def test_two_patterns_that_only_overlap_are_a_fault(protect: Protect) -> None:
    """The longer one is not the narrower one (S-001)."""
    app = make_shop(secret="/api/public/secret")
    rules = {"/*/secret": ADMIN, "/api/public/*": ALL}
    assert "neither is closer" in faults_of(protect, app, rules)[0]


def test_the_narrower_of_two_patterns_decides_though_it_is_shorter(protect: Protect) -> None:
    """All that it matches the other one matches too."""
    app = make_shop(one="/abc", two="/xaxb")
    assert kinds_of(protect, app, {"/*a*b*": ALL, "/ab*": ADMIN}) == {
        "/abc": "scopes",
        "/xaxb": "public",
    }


def test_an_exact_key_decides_before_a_pattern_with_methods(protect: Protect) -> None:
    """It names the route."""
    app = make_shop(ping="/api/ping", pay="/api/pay")
    client = protect(app, rules={"GET /*": ALL, "POST /*": ADMIN, "/api/ping": ALL}).client()
    assert [client.post(path).status_code for path in ("/api/ping", "/api/pay")] == [200, 401]


def test_an_exact_endpoint_with_methods_is_no_closer_than_an_exact_path(protect: Protect) -> None:
    """Both name the route, and one of them guards it (S-001)."""
    fault = faults_of(protect, make_shop(pay="/pay"), {"POST pay": ALL, "/pay": ADMIN})[0]
    assert fault == (
        "route POST /pay has more than one access rule: by the key 'POST pay' and by the key"
        " '/pay'; keep one of them"
    )


def test_a_wider_pattern_opens_no_path_above_a_guarded_one(protect: Protect) -> None:
    """`/admin/*` does not match `/admin`, which is easily overlooked (S-001)."""
    app = make_shop(admin="/admin", users="/admin/users", page="/page")
    client = protect(app, rules={"/admin/*": ADMIN, "/*": ALL}).client()
    codes = [client.get(path).status_code for path in ("/admin", "/admin/users", "/page")]
    assert codes == [403, 401, 200]


def test_a_pattern_does_not_open_the_path_above(protect: Protect) -> None:
    """Nobody said so (S-002)."""
    app = make_shop(hooks="/hooks", bank="/hooks/bank")
    client = protect(app, rules={"/hooks/*": ALL}).client()
    assert [client.get(path).status_code for path in ("/hooks", "/hooks/bank")] == [403, 200]


def test_a_pattern_with_two_stars_stops_short_of_the_path_above_too(protect: Protect) -> None:
    """`/admin/**` is `/admin/*` (S-001)."""
    app = make_shop(admin="/admin", users="/admin/users")
    client = protect(app, rules={"/admin/**": ADMIN, "/*": ALL}).client()
    assert [client.get(path).status_code for path in ("/admin", "/admin/users")] == [403, 401]


@pytest.mark.parametrize("path", ["/t1/admin", "/<tenant>/admin"])
def test_a_wider_pattern_opens_no_path_above_a_guarded_one_with_another_star(
    protect: Protect, path: str
) -> None:
    """S-002: `/*/admin/*` is written for what is below any `/.../admin`."""
    app = make_shop(above=path, users="/t1/admin/users")
    faults = faults_of(protect, app, {"/*": ALL, "/*/admin/*": ADMIN})
    assert [line.split()[1:3] for line in faults] == [["GET", path], ["POST", path]]


def test_a_pattern_for_every_deeper_path_leaves_the_first_level_alone(protect: Protect) -> None:
    """`/*/*` names no path that it could stop short of."""
    app = make_shop(above="/about", users="/users/all")
    kinds = kinds_of(protect, app, {"/*": ALL, "/*/*": ADMIN})
    assert kinds == {"/about": "public", "/users/all": "scopes"}


def test_a_key_that_matches_only_routes_of_the_layer_has_no_effect(protect: Protect) -> None:
    """The routes that it guarded have moved, and a wider pattern opened them (S-002)."""
    rules = {"/api/*": ADMIN, "/*": ALL}
    backend = protect(make_shop(orders="/v1/orders"), url_prefix="/api", rules=rules)
    assert backend.client().get("/v1/orders").status_code == 403


def test_an_exact_key_decides_the_path_above_a_pattern(protect: Protect) -> None:
    """As the fault advises."""
    app = make_shop(admin="/admin", users="/admin/users", page="/page")
    rules = {"/admin": ADMIN, "/admin/*": ADMIN, "/*": ALL}
    assert kinds_of(protect, app, rules)["/admin"] == "scopes"


def make_subdomains(protect: Protect, rules: dict[str, Any]) -> Backend:
    """Return an application with one path on two subdomains."""
    app = Flask("shop", static_folder=None, subdomain_matching=True)
    app.config["SERVER_NAME"] = "shop.example"
    for name in ("www", "api"):
        app.add_url_rule("/status", name, lambda: "done", subdomain=name)
    return protect(app, rules=rules)


def statuses(backend: Backend) -> list[int]:
    """Return the statuses of that path on both."""
    client = backend.client()
    urls = [f"http://{name}.shop.example" for name in ("www", "api")]
    return [client.get("/status", base_url=url).status_code for url in urls]


@pytest.mark.parametrize("key", ["/status", "/st*", "GET /status"])
@pytest.mark.parametrize("rule", [ALL, ADMIN], ids=["public", "scope"])
def test_a_path_on_several_subdomains_is_refused(protect: Protect, key: str, rule: Any) -> None:
    """A path has no host in it: who opens `/` means the first page of one of them."""
    backend = make_subdomains(protect, {key: rule})
    assert statuses(backend) == [403, 403]
    faults = gate_of(backend.app).seal(backend.app).faults
    assert "a path on the subdomains 'api' and 'www'; write the endpoint in its place" in faults[0]


@pytest.mark.parametrize("key", ["/*", "*"])
def test_every_route_is_one_of_every_subdomain(protect: Protect, key: str) -> None:
    """These patterns say so."""
    assert statuses(make_subdomains(protect, {key: ADMIN})) == [401, 401]


def test_a_path_on_several_subdomains_is_refused_beside_an_endpoint_too(protect: Protect) -> None:
    """The fault advises the endpoint in place of the path: with both, the path opened the other."""
    assert statuses(make_subdomains(protect, {"/status": ALL, "www": ALL})) == [403, 403]


def test_an_endpoint_is_a_key_on_its_subdomain(protect: Protect) -> None:
    """So each may have a rule of its own."""
    assert statuses(make_subdomains(protect, {"www": ALL, "api": ADMIN})) == [200, 401]


@pytest.mark.parametrize("options", [{"redirect_to": "/new"}, {"build_only": True}])
def test_a_route_without_a_view_needs_no_rule(protect: Protect, options: dict[str, Any]) -> None:
    """It redirects, or only makes addresses."""
    app = make_shop(new="/new")
    app.url_map.add(Route("/old", endpoint="old", **options))
    assert faults_of(protect, app, {"/new": ALL}) == []


@pytest.mark.parametrize("path", ["/list", "/list/", "/list/page/2"])
def test_a_path_that_is_matched_loosely_has_the_rule_of_its_route(
    protect: Protect, path: str
) -> None:
    """Without the slash, or with a default (S-001)."""
    app = Flask("shop", static_folder=None)
    app.url_map.strict_slashes = False
    app.add_url_rule("/list/", "list", show_done, defaults={"page": 1})
    app.add_url_rule("/list/page/<int:page>", "list", show_done)
    assert protect(app, rules={"/list/*": ADMIN}).client().get(path).status_code == 401


@pytest.mark.parametrize("rules", [["/x"], {print: ALL}, "static"])
def test_rules_that_are_no_mapping_of_keys_are_refused(rules: Any) -> None:
    """The message shows one."""
    with pytest.raises(TypeError, match=r"write rules=\{'static': public\('why'\)\}"):
        AuthLayer(Flask("shop"), rules=rules)
