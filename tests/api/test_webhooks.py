"""Signed webhooks as a credential: three forms, and what makes them refuse a request.

Sources: GitHub's "Validating webhook deliveries", Stripe's "Verify webhook signatures manually",
and the specification of Standard Webhooks.
"""

import base64
import hashlib
import hmac
import io
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask, Request, request

from itemsapi import (
    Blueprint,
    Caller,
    HmacSignature,
    Schema,
    Scope,
    body_signature,
    current_caller,
    fields,
    requires,
)
from itemsapi.testing import MovableClock
from support.app_factory import Backend
from support.host import HostFactory
from support.tokens import error_code

pytestmark = pytest.mark.dialect("sqlite")  # the gate does not depend on the database

HOOK = Scope("hook:send", "Send a webhook")
SECRET, OLD = "a-secret-of-some-length", "another-of-some-length"
WHSEC = "whsec_" + base64.b64encode(b"k" * 24).decode()
BODY = b'{"hello": "world"}'
UNDECLARED = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
Headers = dict[str, str]
Sign = Callable[[bytes, int], Headers]


def mac(secret: str | bytes, content: bytes) -> bytes:
    """Return the HMAC-SHA256 of a content."""
    key = secret.encode() if isinstance(secret, str) else secret
    return hmac.new(key, content, hashlib.sha256).digest()


def by_github(body: bytes, _time: int, secret: str = SECRET) -> Headers:
    """Sign as GitHub does."""
    return {"X-Hub-Signature-256": f"sha256={mac(secret, body).hex()}"}


def by_stripe(body: bytes, time: int, secret: str = SECRET) -> Headers:
    """Sign as Stripe does; `v0` is of another version."""
    signature = mac(secret, f"{time}.".encode() + body).hex()
    return {"Stripe-Signature": f"t={time},v1={signature},v0=00ff"}


def by_standard(body: bytes, time: int) -> Headers:
    """Sign as Standard Webhooks has it, with the signature of another secret before."""
    content = f"msg_1.{time}.".encode() + body
    mine, other = (base64.b64encode(mac(key, content)).decode() for key in (b"k" * 24, b"o" * 24))
    return {
        "webhook-id": "msg_1", "webhook-timestamp": f"{time}",
        "webhook-signature": f"v1,{other} v1,{mine} v1a,AAAA",
    }  # fmt: skip


def make_view(*names: str) -> Callable[[], bytes]:
    """Return a view that returns the body of the request, for these senders."""

    @requires(HOOK, by=set(names))
    def read_body() -> bytes:
        return request.get_data()

    return read_body


SIGN: dict[str, Sign] = {"github": by_github, "stripe": by_stripe, "standard": by_standard}


def add_routes(app: Flask) -> None:
    """Add a route for each sender, and one that reads the body in other ways."""
    for name in SIGN:

        def receive() -> dict[str, object]:
            caller = current_caller()
            return {"user": caller.user_id, "json": request.get_json(silent=True)}

        app.post(f"/{name}", endpoint=name)(requires(HOOK, by={name})(receive))

    @app.post("/read/<how>")
    @requires(HOOK, by={"github"})
    def read(how: str) -> dict[str, object]:
        ways: dict[str, Callable[[], object]] = {
            "data": lambda: request.get_data(as_text=True),
            "form": lambda: dict(request.form),
            "stream": lambda: request.stream.read().decode(),
            "input": lambda: request.environ["wsgi.input"].read().decode(),
            "limit": lambda: request.max_content_length,
        }
        return {"read": ways[how]()}


def credentials(clock: MovableClock) -> list[HmacSignature]:
    """Return a credential for each preset."""
    options: dict[str, Any] = {"scopes": [HOOK], "clock": clock}
    return [
        HmacSignature.github("github", secrets=[SECRET, OLD], **options),
        HmacSignature.stripe("stripe", secrets=[SECRET], **options),
        HmacSignature.standard_webhooks("standard", secrets=[WHSEC], **options),
    ]


def host_of(host: HostFactory, sender: HmacSignature) -> Flask:
    """Return a host with one sender, and a route for it at `/`."""
    rule = requires(HOOK, by={sender.name})
    return host(lambda app: app.post("/")(rule(lambda: "ok")), credentials=[sender]).app


@pytest.fixture
def backend(host: HostFactory, clock: MovableClock) -> Backend:
    """A host with the credentials."""
    return host(add_routes, credentials=credentials(clock))


def send(backend: Backend, name: str, **headers: str) -> Any:
    """Send the body with the signature of a sender; `headers` replace some, `_` stands for `-`."""
    signed = SIGN[name](BODY, int(backend.clock().timestamp()))
    changed = {key.replace("_", "-"): value for key, value in headers.items()}
    return backend.client().post(
        f"/{name}", data=BODY, headers=signed | changed, content_type="application/json"
    )


@pytest.mark.parametrize("name", SIGN)
def test_a_signed_request_is_admitted(backend: Backend, name: str) -> None:
    """In each form; the view reads the body again."""
    assert send(backend, name).get_json() == {"user": f"webhook:{name}", "json": {"hello": "world"}}


def test_the_vector_of_github_is_accepted(host: HostFactory) -> None:
    """Of "Validating webhook deliveries": secret, payload and signature."""
    secret, payload = "It's a Secret to Everybody", b"Hello, World!"
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    github = HmacSignature.github("github", secrets=[secret], scopes=[HOOK])
    app = host_of(host, github)
    headers = {"X-Hub-Signature-256": signature}
    assert app.test_client().post("/", data=payload, headers=headers).text == "ok"


def test_the_vector_of_standard_webhooks_is_accepted(
    host: HostFactory, clock: MovableClock
) -> None:
    """Of its specification: secret, id, time, payload and signature."""
    clock.current = datetime.fromtimestamp(1731705121, UTC)
    secret = "whsec_plJ3nmyCDGBKInavdOK15jsl"
    sender = HmacSignature.standard_webhooks("sender", secrets=[secret], scopes=[HOOK], clock=clock)
    payload = b'{"event_type":"ping","data":{"success":true}}'
    headers = {
        "webhook-id": "msg_loFOjxBNrRLzqYUf", "webhook-timestamp": "1731705121",
        "webhook-signature": "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
    }  # fmt: skip
    response = host_of(host, sender).test_client().post("/", data=payload, headers=headers)
    assert response.text == "ok"


@pytest.mark.parametrize("name", SIGN)
@pytest.mark.parametrize("body", [b"", BODY + b" ", BODY[:-1]])
def test_another_body_is_refused(backend: Backend, name: str, body: bytes) -> None:
    """Each byte is signed."""
    signed = SIGN[name](BODY, int(backend.clock().timestamp()))
    response = backend.client().post(f"/{name}", data=body, headers=signed)
    assert (response.status_code, error_code(response)) == (401, "invalid_signature")
    assert response.headers["WWW-Authenticate"] == 'Signature realm="itemsapi"'


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("github", {"X_Hub_Signature_256": ""}),
        ("github", {"X_Hub_Signature_256": "sha256="}),
        ("github", {"X_Hub_Signature_256": mac(SECRET, BODY).hex()}),
        ("github", {"X_Hub_Signature_256": f"sha1={mac(SECRET, BODY).hex()}"}),
        ("github", {"X_Hub_Signature_256": f"sha256={mac(SECRET, BODY).hex()[:-2]}"}),
        ("github", {"X_Hub_Signature_256": f"sha256={mac(SECRET, BODY).hex()[:-1]}"}),
        ("github", {"X_Hub_Signature_256": "sha256=" + "zz" * 32}),
        ("github", {"X_Hub_Signature_256": f"sha256={mac(b'', BODY).hex()}"}),
        ("stripe", {"Stripe_Signature": "t=1"}),
        ("stripe", {"Stripe_Signature": "v1=00"}),
        ("stripe", {"Stripe_Signature": "t=x,v1=00"}),
        ("stripe", {"Stripe_Signature": "t=1,t=2,v1=00"}),
        ("stripe", {"Stripe_Signature": "t=\u0661,v1=00".encode().decode("latin-1")}),
        ("stripe", {"Stripe_Signature": "t=99999999999999999999,v1=00"}),
        ("standard", {"webhook_id": ""}),
        ("standard", {"webhook_id": "a.b"}),
        ("standard", {"webhook_id": "other"}),
        ("standard", {"webhook_timestamp": "1"}),
        ("standard", {"webhook_timestamp": ""}),
        ("standard", {"webhook_signature": "v1"}),
        ("standard", {"webhook_signature": "v1,\xe4\xe4\xe4\xe4"}),
        ("standard", {"webhook_signature": "v2,AAAA"}),
    ],
)
def test_another_signature_is_refused(backend: Backend, name: str, headers: dict[str, str]) -> None:
    """Empty, cut, of another algorithm, in another alphabet, ambiguous."""
    response = send(backend, name, **headers)
    assert (response.status_code, error_code(response)) == (401, "invalid_signature")


def test_two_times_are_refused(backend: Backend) -> None:
    """Although one of them was signed: others may read the other."""
    headers = by_stripe(BODY, int(backend.clock().timestamp()))
    header = headers["Stripe-Signature"]
    repeated = {"Stripe-Signature": f"{header},{header.partition(',')[0]}"}
    assert backend.client().post("/stripe", data=BODY, headers=repeated).status_code == 401


def test_an_id_with_a_dot_is_refused(backend: Backend) -> None:
    """Although it was signed: the dot could also stand between id and time."""
    time = f"{backend.clock().timestamp():.0f}"
    signature = mac(b"k" * 24, f"a.b.{time}.".encode() + BODY)
    headers = {
        "webhook-id": "a.b", "webhook-timestamp": time,
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }  # fmt: skip
    assert backend.client().post("/standard", data=BODY, headers=headers).status_code == 401


@pytest.mark.parametrize("name", ["stripe", "standard"])
@pytest.mark.parametrize(("seconds", "status"), [(-301, 401), (-300, 200), (300, 200), (301, 401)])
def test_a_copy_is_refused_after_five_minutes(
    backend: Backend, name: str, seconds: int, status: int
) -> None:
    """Where the time is signed; a clock may also be ahead."""
    headers = SIGN[name](BODY, int(backend.clock().timestamp()))
    backend.clock.advance(seconds=seconds)
    assert backend.client().post(f"/{name}", data=BODY, headers=headers).status_code == status


@pytest.mark.parametrize("secret", [SECRET, OLD])
def test_each_of_several_secrets_is_accepted(backend: Backend, secret: str) -> None:
    """While the sender changes from one to the other."""
    headers = by_github(BODY, 0, secret)
    assert backend.client().post("/github", data=BODY, headers=headers).status_code == 200


def test_the_signature_of_one_sender_is_not_accepted_for_another(backend: Backend) -> None:
    """Although both have the same secret."""
    headers = by_github(BODY, 0)
    response = backend.client().post("/stripe", data=BODY, headers=headers)
    assert error_code(response) == "credential_not_accepted"


@pytest.mark.parametrize(
    ("how", "body", "expected"),
    [
        ("data", b"a=1", "a=1"),
        ("form", b"a=1", {"a": "1"}),
        ("stream", b"a=1", "a=1"),
        ("input", b"a=1", "a=1"),
        ("limit", b"a=1", None),
    ],
)
def test_the_view_reads_the_body_in_any_way(
    backend: Backend, how: str, body: bytes, expected: object
) -> None:
    """The gate leaves it as it was."""
    response = backend.client().post(
        f"/read/{how}",
        data=body,
        headers=by_github(body, 0),
        content_type="application/x-www-form-urlencoded",
    )
    assert response.get_json() == {"read": expected}


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize(("size", "status"), [(65536, 200), (65537, 413)])
def test_a_body_is_read_up_to_the_limit(
    backend: Backend, size: int, status: int, *, declared: bool
) -> None:
    """S-004: no more than 64 KiB of an unknown sender, whether the length is declared or not."""
    body = b"x" * size
    response = backend.client().post(
        "/github",
        input_stream=io.BytesIO(body),
        headers=by_github(body, 0),
        environ_overrides={"CONTENT_LENGTH": f"{len(body)}"} if declared else UNDECLARED,
    )
    assert response.status_code == status


@pytest.mark.parametrize("limits", [(10, 1000), (1000, 10)])
def test_a_body_that_is_too_large_for_one_sender_is_whole_for_the_other(
    host: HostFactory, limits: tuple[int, int]
) -> None:
    """Both read one header; the length of the body is not declared."""
    senders = [
        HmacSignature.github(name, secrets=[secret], scopes=[HOOK], max_body=limit)
        for name, secret, limit in zip("ab", (OLD, SECRET), limits, strict=True)
    ]
    backend = host(lambda app: app.post("/hook")(make_view("a", "b")), credentials=senders)
    response = backend.client().post(
        "/hook",
        input_stream=io.BytesIO(BODY),
        headers=by_github(BODY, 0, OLD if limits[0] == 1000 else SECRET),
        environ_overrides=UNDECLARED,
    )
    assert (response.status_code, response.data) == (200, BODY)


def test_a_view_gets_the_whole_body_that_a_sender_found_too_large(host: HostFactory) -> None:
    """The other sender signs no body; a part of one is worse than none."""

    class Header:
        """A credential that looks at the same header only."""

        name, scheme = "header", "Signature"
        documentation: Mapping[str, Any] = {
            "type": "apiKey", "in": "header", "name": "X-Hub-Signature-256",
        }  # fmt: skip

        def is_present(self, request: Request) -> bool:
            """Return whether the header is there."""
            return "X-Hub-Signature-256" in request.headers

        def authenticate(self, request: Request) -> Caller | None:
            """Return a caller, whatever the header has."""
            del request
            return Caller("header", frozenset({HOOK.name}))

    small = HmacSignature.github("small", secrets=[SECRET], scopes=[HOOK], max_body=10)
    view = make_view("small", "header")
    backend = host(lambda app: app.post("/hook")(view), credentials=[small, Header()])
    response = backend.client().post(
        "/hook",
        input_stream=io.BytesIO(BODY),
        headers=by_github(BODY, 0),
        environ_overrides=UNDECLARED,
    )
    assert response.data == BODY


def test_no_body_is_read_for_a_malformed_signature(backend: Backend) -> None:
    """S-004: the headers are checked first."""
    stream = io.BytesIO(BODY)
    backend.client().post(
        "/github",
        input_stream=stream,
        headers={"X-Hub-Signature-256": "nonsense"},
        environ_overrides={"CONTENT_LENGTH": f"{len(BODY)}"},
    )
    assert stream.tell() == 0


def test_a_body_that_ends_too_early_is_refused(backend: Backend) -> None:
    """A part of a body is not what was signed."""
    response = backend.client().post(
        "/github",
        input_stream=io.BytesIO(BODY),
        headers=by_github(BODY, 0),
        environ_overrides={"CONTENT_LENGTH": "100"},
    )
    assert response.status_code == 400


def test_a_lower_limit_of_the_host_counts(backend: Backend) -> None:
    """S-004: the gate reads no more than the host would."""
    backend.app.config["MAX_CONTENT_LENGTH"] = 10
    assert send(backend, "github").status_code == 413


def test_a_limit_that_cannot_be_set_counts(host: HostFactory, clock: MovableClock) -> None:
    """A `Request` class of the host may have a property for it."""

    class HostRequest(Request):
        """A request with a limit by path."""

        max_content_length = property(lambda self: len(BODY) if self.path == "/github" else 3)

    backend = host(add_routes, credentials=credentials(clock))
    backend.app.request_class = HostRequest
    assert [send(backend, name).status_code for name in ("github", "stripe")] == [200, 413]


def test_two_senders_of_one_form_have_a_route_each(host: HostFactory) -> None:
    """Each route names its sender; the signature of the other one is refused there."""

    def add(app: Flask) -> None:
        for name in ("first", "second"):
            rule = requires(HOOK, by={name})
            app.post(f"/{name}", endpoint=name)(rule(lambda: current_caller().user_id))

    senders = [
        HmacSignature.github(name, secrets=[name * 4], scopes=[HOOK])
        for name in ("first", "second")
    ]
    client = host(add, credentials=senders).client()
    answers = {
        (path, name): client.post(f"/{path}", data=BODY, headers=by_github(BODY, 0, name * 4)).text
        for path in ("first", "second")
        for name in ("first", "second")
    }
    assert answers["first", "first"] == "webhook:first"
    assert answers["second", "second"] == "webhook:second"
    assert "invalid_signature" in answers["first", "second"]
    assert "invalid_signature" in answers["second", "first"]


@pytest.mark.parametrize("sender", ["first", "second"])
def test_one_route_may_name_two_senders_of_one_form(host: HostFactory, sender: str) -> None:
    """The secret tells which of them it is."""
    senders = [
        HmacSignature.github(name, secrets=[name * 4], scopes=[HOOK])
        for name in ("first", "second")
    ]
    rule = requires(HOOK, by={"first", "second"})
    backend = host(
        lambda app: app.post("/")(rule(lambda: current_caller().user_id)), credentials=senders
    )
    response = backend.client().post("/", data=BODY, headers=by_github(BODY, 0, sender * 4))
    assert response.text == f"webhook:{sender}"


def test_each_of_two_senders_has_its_own_limit_of_the_body(host: HostFactory) -> None:
    """A body that is too long for the first one is read for the second."""
    senders = [
        HmacSignature.github(name, secrets=[name * 4], scopes=[HOOK], max_body=limit)
        for name, limit in (("first", 1), ("second", 1000))
    ]
    rule = requires(HOOK, by={"first", "second"})
    backend = host(
        lambda app: app.post("/")(rule(lambda: current_caller().user_id)), credentials=senders
    )
    response = backend.client().post("/", data=BODY, headers=by_github(BODY, 0, "second" * 4))
    assert response.text == "webhook:second"


def test_the_strict_parser_reads_the_body_after_the_gate(
    host: HostFactory, clock: MovableClock
) -> None:
    """`arguments` validates it as usual."""
    hooks = Blueprint("hooks", __name__)

    class Hello(Schema):
        """A greeting."""

        hello = fields.String(required=True)

    @hooks.post("/hooks")
    @requires(HOOK, by={"github"})
    @hooks.arguments(Hello())
    @hooks.response(200, Hello())
    def receive(payload: dict[str, str]) -> object:
        return payload

    backend = host(lambda app: app.register_blueprint(hooks), credentials=credentials(clock))
    json = {"Content-Type": "application/json"}
    answers = [
        backend.client().post("/hooks", data=body, headers=by_github(body, 0) | json)
        for body in (BODY, b'{"hello": 1}')
    ]
    assert [answer.status_code for answer in answers] == [200, 422]


@pytest.mark.parametrize("prefix", ["", "v0="])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_other_forms_are_described_by_a_reader(
    host: HostFactory, prefix: str, encoding: str
) -> None:
    """Any header, prefix and encoding."""
    sender = HmacSignature(
        "sender",
        header="X-Sign",
        secrets=[SECRET],
        scopes=[HOOK],
        read=body_signature("X-Sign", prefix=prefix, encoding=encoding),
    )
    app = host_of(host, sender)
    signature = mac(SECRET, BODY)
    text = signature.hex() if encoding == "hex" else base64.b64encode(signature).decode()
    headers = {"X-Sign": prefix + text}
    assert app.test_client().post("/", data=BODY, headers=headers).text == "ok"


@pytest.mark.parametrize("secrets", [[], [""], ["short"], [SECRET, "short"]])
def test_a_weak_secret_stops_the_boot(secrets: list[str]) -> None:
    """S-029: it could be guessed from one signature."""
    with pytest.raises(ValueError, match="16 bytes or more"):
        HmacSignature.github("github", secrets=secrets)


@pytest.mark.parametrize("secret", ["whsec_", "whsec_***", "whsec_AAAA"])
def test_a_secret_that_is_no_base64_stops_the_boot(secret: str) -> None:
    """Standard Webhooks writes it so."""
    with pytest.raises(ValueError, match="16 bytes or more"):
        HmacSignature.standard_webhooks("sender", secrets=[secret])


@pytest.mark.parametrize("name", ["", "GitHub", "a b", "9", "a" * 41])
def test_a_name_that_is_none_stops_the_boot(name: str) -> None:
    """It stands in rules and in the document."""
    with pytest.raises(ValueError, match="no name of a credential"):
        HmacSignature.github(name, secrets=[SECRET])


@pytest.mark.parametrize(("age", "status"), [(300, 200), (301, 401)])
def test_a_signature_ages_by_the_clock_of_the_layer(
    host: HostFactory, clock: MovableClock, age: int, status: int
) -> None:
    """A test moves it for the whole layer."""
    app = host_of(host, HmacSignature.stripe("stripe", secrets=[SECRET], scopes=[HOOK]))
    headers = by_stripe(BODY, int(clock().timestamp()))
    clock.advance(seconds=age)
    assert app.test_client().post("/", data=BODY, headers=headers).status_code == status


def test_a_signature_keeps_a_clock_of_its_own(host: HostFactory, clock: MovableClock) -> None:
    """Whoever gives one means it."""
    still = MovableClock()
    still.current = clock()
    app = host_of(
        host, HmacSignature.stripe("stripe", secrets=[SECRET], scopes=[HOOK], clock=still)
    )
    headers = by_stripe(BODY, int(clock().timestamp()))
    clock.advance(seconds=301)
    assert app.test_client().post("/", data=BODY, headers=headers).status_code == 200
