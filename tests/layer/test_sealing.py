"""Routes without a rule: refused at boot by `seal`, otherwise one by one."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.views import MethodView
from werkzeug.routing import UUIDConverter

from itemsapi import AuthLayer, Scope, public, requires
from itemsapi.gate.rulebook import RulesInvalid
from itemsapi.tokens.scopes import ITEMS_READ, ITEMS_WRITE
from support.app_factory import Backend
from support.log_records import LogRecords

Protect = Callable[..., Backend]

pytestmark = pytest.mark.dialect("sqlite")


def make_host() -> Flask:
    """Return an application with one guarded route and two without a rule."""
    app = Flask("host", static_folder=None)
    app.add_url_rule("/good", view_func=public("all may")(lambda: "good"), endpoint="good")
    app.add_url_rule("/open", view_func=lambda: "open", endpoint="open")
    app.add_url_rule("/wide", view_func=lambda: "wide", endpoint="wide", methods=["POST"])
    return app


def test_sealing_names_every_route_without_a_rule(protect: Protect) -> None:
    """The factory fails with all of them at once (S-002)."""
    app = make_host()
    protect(app)
    with pytest.raises(RulesInvalid) as raised:
        AuthLayer.seal(app)
    assert [line.split()[1:3] for line in str(raised.value).splitlines()] == [
        ["GET", "/open"],
        ["POST", "/wide"],
    ]


def test_sealing_says_which_line_to_add(protect: Protect) -> None:
    """Both ways to give a rule."""
    app = make_host()
    protect(app)
    with pytest.raises(RuntimeError, match=r"@requires.*rules=\{'open': \.\.\.\}"):
        AuthLayer.seal(app)


def test_an_unsealed_application_refuses_only_routes_without_a_rule(protect: Protect) -> None:
    """The others work (S-002)."""
    client = protect(make_host()).client()
    codes = [client.get("/good").status_code, client.get("/open").status_code]
    assert [*codes, client.post("/wide").status_code] == [200, 403, 403]


def test_an_unsealed_application_logs_the_routes_without_a_rule(
    protect: Protect, log_records: LogRecords
) -> None:
    """The operator finds them at the first request."""
    protect(make_host()).client().get("/good")
    logged = "\n".join(log_records.lines())
    assert "access_rule_fault" in logged
    assert "route GET /open has no access rule" in logged


@pytest.mark.parametrize("switch", ["testing", "debug"])
def test_a_route_without_a_rule_raises_for_its_developer(protect: Protect, switch: str) -> None:
    """In testing and debug mode the request fails with the advice."""
    app = make_host()
    setattr(app, switch, True)
    client = protect(app).client()
    with pytest.raises(RulesInvalid, match="GET /open has no access rule"):
        client.get("/open")
    assert client.get("/good").status_code == 200


def test_rules_are_given_by_endpoint_path_and_method(protect: Protect) -> None:
    """For routes whose code one does not own (S-002)."""
    rules = {"open": public("it is"), "POST,PUT /wi*": requires(ITEMS_READ)}
    client = protect(make_host(), rules=rules).client()
    assert [client.get("/open").status_code, client.post("/wide").status_code] == [200, 401]


def test_an_exact_rule_wins_over_a_pattern(protect: Protect) -> None:
    """A pattern for everything closes what has no rule of its own."""
    rules = {"/*": requires(ITEMS_READ), "/open": public("it is")}
    client = protect(make_host(), rules=rules).client()
    assert [client.get("/open").status_code, client.post("/wide").status_code] == [200, 401]


def test_a_rule_that_matches_no_route_is_a_fault(protect: Protect) -> None:
    """It may be misspelled, and leave a route open to another pattern."""
    app = make_host()
    protect(app, rules={"/*": public("all"), "/opne": requires(ITEMS_READ)})
    with pytest.raises(RulesInvalid, match="'/opne' matches no route of the application"):
        AuthLayer.seal(app)


def test_two_rules_that_are_equally_close_are_a_fault(protect: Protect) -> None:
    """Neither may win by chance."""
    app = make_host()
    protect(app, rules={"/op*": public("all"), "*pen": requires(ITEMS_READ), "wide": public("x")})
    with pytest.raises(RulesInvalid, match="GET /open has more than one access rule"):
        AuthLayer.seal(app)


def test_a_decorator_and_an_exact_rule_are_two_rules(protect: Protect) -> None:
    """One of the two would silently have no effect."""
    app = make_host()
    protect(app, rules={"good": requires(ITEMS_READ), "open": public("x"), "wide": public("x")})
    with pytest.raises(RulesInvalid, match="GET /good has more than one access rule"):
        AuthLayer.seal(app)


@pytest.mark.parametrize("given", [{"/open": "public", "GET /open": "scope"}, {"GET /*": "scope"}])
def test_head_has_the_rule_of_get(protect: Protect, given: dict[str, str]) -> None:
    """Otherwise it would tell whether something exists (S-006)."""
    kinds = {"public": public("all"), "scope": requires(ITEMS_READ)}
    rules = {key: kinds[kind] for key, kind in given.items()}
    assert protect(make_host(), rules=rules).client().head("/open").status_code == 401


def test_a_decorator_wins_over_a_pattern(protect: Protect) -> None:
    """A pattern is for the routes that have no rule."""
    client = protect(make_host(), rules={"/*": requires(ITEMS_READ)}).client()
    assert client.get("/good").status_code == 200


def test_routes_of_an_application_without_the_layer_stay_open(protect: Protect) -> None:
    """A gate belongs to one application."""
    protect(make_host())
    assert make_host().test_client().get("/open").status_code == 200


def test_a_view_with_a_rule_is_refused_without_the_layer() -> None:
    """Who forgets `AuthLayer(app)` does not serve it to everybody (S-001)."""
    app = Flask("forgotten", static_folder=None)
    app.add_url_rule("/secret", view_func=requires(ITEMS_READ)(lambda: "secret"), endpoint="s")
    app.add_url_rule("/open", view_func=lambda: "open", endpoint="open")
    client = app.test_client()
    assert [client.get("/secret").status_code, client.get("/open").status_code] == [503, 200]


def test_a_class_with_a_rule_is_refused_without_the_layer() -> None:
    """The rule may stand on a method of a `MethodView` (S-001)."""

    class Secret(MethodView):
        @requires(ITEMS_READ)
        def get(self) -> str:
            return "secret"

    app = Flask("forgotten", static_folder=None)
    app.add_url_rule("/secret", view_func=Secret.as_view("secret"))
    assert app.test_client().get("/secret").status_code == 503


def share_endpoint(protect: Protect, rules: dict[str, Any]) -> Flask:
    """Return an application with two paths to one endpoint, sealed by its first request."""
    app = Flask("host", static_folder=None)

    def show_list() -> str:
        return "the list"

    for path in ("/admin/list", "/public/list"):
        app.add_url_rule(path, view_func=show_list)
    protect(app, rules=rules)
    return app


@pytest.mark.parametrize(
    "rules",
    [
        {"/admin/*": requires("users:read"), "/public/*": public("p")},
        {"/public/*": public("p"), "/admin/*": requires("users:read")},
        {"/public/*": public("p")},
    ],
    ids=["admin first", "public first", "one alone"],
)
def test_two_paths_of_one_endpoint_are_refused_with_different_rules(
    protect: Protect, rules: dict[str, Any]
) -> None:
    """The rule of one would hold for both (S-001)."""
    app = share_endpoint(protect, rules)
    codes = {app.test_client().get(path).status_code for path in ("/admin/list", "/public/list")}
    assert codes == {403}
    with pytest.raises(RulesInvalid):
        AuthLayer.seal(app)


def test_two_paths_of_one_endpoint_are_served_with_the_same_rule(protect: Protect) -> None:
    """As `/` and `/index` often are."""
    app = share_endpoint(protect, {"/*": public("both")})
    assert app.test_client().get("/admin/list").text == "the list"


def test_the_header_of_cookie_delivery_means_nothing_on_a_route_of_the_application(
    protect: Protect,
) -> None:
    """It may have a header of that name."""
    client = protect(make_host()).client()
    assert client.get("/good", headers={"X-Auth-Delivery": "cookie"}).status_code == 200


def make_users_api() -> Flask:
    """Return an application with routes whose paths begin alike, without rules."""
    app = Flask("users", static_folder=None)
    for path in ("/api/users/<int:number>/disable", "/api/users/<int:number>", "/api/orders"):
        app.add_url_rule(path, path, view_func=lambda **_: "done", methods=["GET", "POST"])
    return app


def faults_of(app: Flask) -> list[str]:
    """Return the lines with which sealing fails."""
    with pytest.raises(RulesInvalid) as raised:
        AuthLayer.seal(app)
    return str(raised.value).splitlines()


def test_a_longer_pattern_wins_over_one_with_methods(protect: Protect) -> None:
    """The part for administrators stays theirs, whatever the method (S-002)."""
    app = make_users_api()
    rules = {
        "/api/*": requires(ITEMS_READ),
        "POST,DELETE /api/*": public("all"),
        "/api/users/*": requires(ITEMS_WRITE),
    }
    client = protect(app, rules=rules).client()
    codes = [
        client.post("/api/users/1/disable").status_code,
        client.post("/api/orders").status_code,
    ]
    assert codes == [401, 200]


def test_a_pattern_with_methods_wins_over_the_same_pattern_without(protect: Protect) -> None:
    """Of equally long patterns the more special one counts."""
    rules = {"POST /api/*": requires(ITEMS_WRITE), "/api/*": public("all")}
    client = protect(make_users_api(), rules=rules).client()
    codes = [client.post("/api/orders").status_code, client.get("/api/orders").status_code]
    assert codes == [401, 200]


def test_an_exact_endpoint_and_an_exact_path_are_equally_close(protect: Protect) -> None:
    """The longer name of the two says nothing about what the author wants."""
    app = make_host()
    protect(app, rules={"open": requires(ITEMS_READ), "/open": public("all"), "wide": public("x")})
    (fault,) = faults_of(app)
    assert "by the key 'open' and by the key '/open'" in fault


def test_a_rule_that_closer_keys_always_beat_is_a_fault(protect: Protect) -> None:
    """It looks as if it protected something."""
    app = make_host()
    protect(app, rules={"/*": public("all"), "/w*": requires(ITEMS_READ), "wide": public("x")})
    assert faults_of(app) == [
        "rules: '/w*' decides no route: for POST /wide the key 'wide' is closer; remove it"
    ]


def test_a_pattern_that_only_decorators_beat_is_a_safety_net(protect: Protect) -> None:
    """It waits for a view whose decorator was forgotten, so it is no fault."""
    app = make_host()
    rules = {"/goo*": requires(ITEMS_READ), "open": public("x"), "wide": public("x")}
    protect(app, rules=rules)
    assert AuthLayer.seal(app).faults == []


def test_spaces_between_methods_are_ignored(protect: Protect) -> None:
    """`"POST, GET /api/*"` is how many people write it."""
    rules = {"/*": public("all"), " POST, GET  /api/* ": requires(ITEMS_READ)}
    client = protect(make_users_api(), rules=rules).client()
    assert client.post("/api/orders").status_code == 401


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("POST,PTU /api/*", "'PTU'; use CONNECT, DELETE, GET, OPTIONS, PATCH, POST, PUT, TRACE"),
        ("POST, /api/*", "unknown method ''"),
        ("post /api/*", "unknown method 'post'"),
        ("POST GET /api/*", "unknown method 'POST GET'"),
        ("HEAD /api/*", "'HEAD'; HEAD follows GET"),
        (" ", "names no route"),
    ],
)
def test_a_key_with_an_unknown_method_is_refused(protect: Protect, key: str, reason: str) -> None:
    """It would silently leave the routes to another rule."""
    with pytest.raises(ValueError, match=reason):
        protect(make_users_api(), rules={"/*": public("all"), key: requires(ITEMS_READ)})


@pytest.mark.parametrize("path", ["/x/<any('[a-z]', 'b c'):name>", "/x/<any('a?'):name>"])
def test_only_the_star_is_special_in_a_key(protect: Protect, path: str) -> None:
    """Paths of the URL map contain brackets, question marks and spaces."""
    app = make_host()
    app.add_url_rule(path, "x", view_func=lambda **_: "x")
    protect(app, rules={"/*": requires(ITEMS_READ), path: public("all")})
    (route,) = app.url_map.iter_rules("x")
    assert AuthLayer.seal(app).rule_for(route, "GET").kind == "public"


def test_a_question_mark_in_a_key_is_itself(protect: Protect) -> None:
    """A key that seems to match one character would open another route."""
    app = make_host()
    protect(app, rules={"/*": requires(ITEMS_READ), "/ope?": public("all")})
    assert faults_of(app) == [
        "rules: '/ope?' matches no route of the application; correct or remove it"
    ]


@pytest.mark.parametrize("value", ["a text", Scope("a:b", "Do"), requires, public, None, print])
def test_a_value_that_is_no_rule_is_refused(protect: Protect, value: object) -> None:
    """The message says how to write one."""
    advice = r"^rules\['/x'\] is no rule; write public\('why'\), requires\(SCOPE\) or signed_in$"
    with pytest.raises(TypeError, match=advice):
        protect(make_host(), rules={"/x": value})


def test_the_fault_of_two_close_keys_names_both(protect: Protect) -> None:
    """The author finds them among fifty."""
    app = make_host()
    protect(app, rules={"/op*": public("all"), "*pen": requires(ITEMS_READ), "wide": public("x")})
    (fault,) = faults_of(app)
    assert "by the key '/op*' and by the key '*pen'" in fault


def test_the_fault_of_a_decorator_beside_an_exact_key_names_the_key(protect: Protect) -> None:
    """One of the two is to be removed."""
    app = make_host()
    protect(app, rules={"good": requires(ITEMS_READ), "/*": public("x")})
    (fault,) = faults_of(app)
    assert "GET /good has more than one access rule: by a decorator and by the key 'good'" in fault


def make_login_page() -> Flask:
    """Return an application that has a path of the layer, and a path twice."""
    app = Flask("pages", static_folder=None)
    view = public("sign in")(lambda **_: "page")
    app.add_url_rule("/auth/login", "login", view, methods=["GET", "POST"])
    app.add_url_rule("/twice/<a>", "once", view)
    app.add_url_rule("/twice/<b>", "again", view)
    return app


def test_a_route_of_the_layer_behind_one_of_the_application_is_a_fault(protect: Protect) -> None:
    """Nobody could sign in; two routes of the application itself may be intended."""
    app = make_login_page()
    protect(app)
    (fault,) = faults_of(app)
    assert fault == (
        "route POST /auth/login (itemsapi.auth.sign_in) is reached by nobody: login has the same"
        " path; give AuthLayer a url_prefix"
    )


def test_a_route_of_the_application_behind_one_of_the_layer_is_a_fault(protect: Protect) -> None:
    """Its code would silently be dead, whatever it calls its variables."""
    app = Flask("pages", static_folder=None)
    protect(app)
    (path,) = [
        r.rule for r in app.url_map.iter_rules() if r.endpoint == "itemsapi.sessions.delete_session"
    ]
    view = public("x")(lambda **_: "x")
    app.url_map.converters["id"] = UUIDConverter
    app.add_url_rule(path.replace("session_id", "key"), "mine", view, methods=["DELETE"])
    (fault,) = faults_of(app)
    assert (
        "(mine) is reached by nobody: itemsapi.sessions.delete_session has the same path" in fault
    )


def test_routes_of_the_layer_under_a_prefix_are_reached(protect: Protect) -> None:
    """As the fault advises."""
    app = make_login_page()
    protect(app, url_prefix="/layer")
    assert AuthLayer.seal(app).faults == []


def test_upper_and_lower_case_differ_in_a_key(protect: Protect) -> None:
    """As in the URL map."""
    app = make_host()
    protect(app, rules={"/*": requires(ITEMS_READ), "/OPEN": public("all")})
    assert faults_of(app) == [
        "rules: '/OPEN' matches no route of the application; correct or remove it"
    ]
