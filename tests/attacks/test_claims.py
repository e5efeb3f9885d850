"""Claims and header members with hostile values, correctly signed: only our own checks remain."""

import json
import math

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from itemsapi.problems import RefreshInvalid
from itemsapi.testing.tokens import decode_part, encode_part, sign
from itemsapi.tokens.claims import REQUIRED_CLAIMS
from itemsapi.tokens.keys import derive_key, symmetric_key
from support.forged_tokens import ACCEPTED, REJECTED, TokenForger

LOOSE = settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
HOUR_AND_JITTER = 3781  # seconds: the longest life that can be set, and 5 % of it
TIMES = ("exp", "iat", "auth_time", "gen")
WORDS = ("sub", "sid", "jti")
NO_NUMBERS: tuple[object, ...] = (
    None,
    True,
    False,
    "1",
    "",
    "9999999999",
    [],
    [1],
    {},
    1.5,
    1e10,
    -1,
    0,
    -(2**63),
    1e308,
    "Infinity",
    "0x7fffffff",
)
ID = "01960a3b-9a10-7f02-8a55-6b1f0c9d2e10"
NO_IDS = (
    "x",
    f" {ID}",
    f"{ID}\n",
    f"{ID}\0",
    f"{ID[:-1]}\0",
    f"{ID[:-1]}\ud800",
    f"{ID[:-1]}\u202e",
    f"{ID[:-1]}\uff11",  # a digit, and none of ASCII
    ID.upper(),
    ID.replace("-", ""),
    "\udfff",
    "\r\nX: y",
    "' OR 1=1--",
)
# The users of an application may have ids of any form.
NO_USER_IDS = (f"{ID}\n", f"{ID}\0", f"{ID[:-1]}\ud800", f"{ID[:-1]}\u202e", "\r\nX: y", "x" * 129)
NO_WORDS: tuple[object, ...] = (None, "", 0, 1, 7.5, True, [], ["x"], {}, {"$ne": ""}, "x" * 201)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.mark.parametrize("name", sorted(REQUIRED_CLAIMS))
def test_every_claim_is_required(forge: TokenForger, name: str) -> None:
    """A token without one of them is not ours; `exp` and `type` above all (S-024)."""
    assert forge.try_token(forge.with_claims(**{name: ...})) == REJECTED


@pytest.mark.parametrize("name", TIMES)
def test_a_token_is_rejected_when_a_numeric_claim_is_not_a_number(
    forge: TokenForger, name: str
) -> None:
    """Not a bool, not text, not a fraction, not zero or less (S-024)."""
    assert {forge.try_token(forge.with_claims(**{name: value})) for value in NO_NUMBERS} == {
        REJECTED
    }


def test_a_token_is_rejected_when_its_epoch_is_not_a_whole_number(forge: TokenForger) -> None:
    """It is zero before the first revocation (S-112)."""
    odd = [value for value in NO_NUMBERS if value != 0 or isinstance(value, bool)]
    assert {forge.try_token(forge.with_claims(epoch=value)) for value in odd} == {REJECTED}
    assert forge.try_token(forge.with_claims(epoch=0)) == ACCEPTED


@pytest.mark.parametrize("name", ["nbf", "iat", "exp"])
@pytest.mark.parametrize("text", ["1e9999", "-1e9999", "1" + "0" * 400, "1.0", "1e10", "NaN"])
def test_a_token_is_rejected_when_a_time_is_huge_or_fractional(
    forge: TokenForger, name: str, text: str
) -> None:
    """Only finite whole numbers, in any notation (S-024)."""
    claims = {claim: value for claim, value in forge.payload.items() if claim != name}
    body = f'{{"{name}": {text}, {json.dumps(claims)[1:]}'
    assert forge.try_token(forge.token(payload=body)) == REJECTED


@pytest.mark.parametrize("value", [True, "1", [], {}, 1.5, None, -1, math.pi])
def test_a_token_is_rejected_when_nbf_is_not_a_whole_number(
    forge: TokenForger, value: object
) -> None:
    """Our tokens have none, so an odd one is a forgery (S-024)."""
    assert forge.try_token(forge.with_claims(nbf=value)) == REJECTED


@pytest.mark.parametrize("name", WORDS)
def test_a_token_is_rejected_when_an_id_is_not_a_word(forge: TokenForger, name: str) -> None:
    """Not null, not empty, not a number, not longer than an id (S-033)."""
    assert {forge.try_token(forge.with_claims(**{name: value})) for value in NO_WORDS} == {REJECTED}


@pytest.mark.parametrize("user_id", ["7", "x" * 128, "grace@example.com", ID.upper()])
def test_a_token_of_a_user_of_any_application_is_accepted(forge: TokenForger, user_id: str) -> None:
    """Its user may have a number, an address or another text as the id."""
    assert forge.try_token(forge.with_claims(sub=user_id)) == ACCEPTED


def test_a_token_is_rejected_when_the_id_of_the_user_is_not_printable(forge: TokenForger) -> None:
    """NUL or half of a surrogate pair would be an error in the database (S-033)."""
    verdicts = {forge.try_token(forge.with_claims(sub=value)) for value in NO_USER_IDS}
    assert verdicts == {REJECTED}


@pytest.mark.parametrize("name", ["sid", "jti"])
def test_a_token_is_rejected_when_an_id_has_another_form(forge: TokenForger, name: str) -> None:
    """NUL or half of a surrogate pair would be an error in the database (S-033)."""
    assert {forge.try_token(forge.with_claims(**{name: value})) for value in NO_IDS} == {REJECTED}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gen", 2**63),
        ("gen", 10**30),
        ("epoch", 2**63),
        ("auth_time", 2**63 - 1),
        ("auth_time", 10**12),
        ("aud", ["itemsapi", "\ud800"]),
        ("aud", ["itemsapi", "x\0"]),
        ("amr", ["pwd", "\ud800"]),
        ("amr", ["\x1b[2J"]),
    ],
)
def test_a_token_is_rejected_when_a_claim_cannot_be_stored_or_returned(
    forge: TokenForger, name: str, value: object
) -> None:
    """In a row, in `GET /me` or in the response of introspection (S-033)."""
    assert forge.try_token(forge.with_claims(**{name: value})) == REJECTED


@pytest.mark.parametrize(
    ("name", "value", "verdict"),
    [
        ("gen", 2**63 - 1, ACCEPTED),
        ("gen", 2**63, REJECTED),
        ("gen", 0, REJECTED),
        ("epoch", 0, ACCEPTED),
        ("epoch", 2**63 - 1, ACCEPTED),
        ("auth_time", 1, ACCEPTED),
        ("auth_time", 253_402_300_799, ACCEPTED),
        ("auth_time", 253_402_300_800, REJECTED),
        ("amr", ["x", "y" * 200], ACCEPTED),
        ("amr", ["y" * 201], REJECTED),
        ("amr", [""], REJECTED),
    ],
)
def test_the_limits_of_claims_are_exact(
    forge: TokenForger, name: str, value: object, verdict: str
) -> None:
    """S-033: 64 bits, the last second of the calendar, 200 characters."""
    assert forge.try_token(forge.with_claims(**{name: value})) == verdict


@pytest.mark.parametrize(("brackets", "verdict"), [(14, ACCEPTED), (15, REJECTED)])
def test_a_payload_nests_at_most_sixteen_deep(
    forge: TokenForger, brackets: int, verdict: str
) -> None:
    """S-014: the payload itself and `amr` are two of them."""
    nested: object = 1
    for _ in range(brackets):
        nested = [nested]
    assert forge.try_token(forge.with_claims(x=nested)) == verdict


@pytest.mark.parametrize("name", ["sub", "sid", "gen"])
def test_the_codec_rejects_a_refresh_token_with_a_malformed_claim(
    forge: TokenForger, name: str
) -> None:
    """S-033: before the value reaches the database."""
    key = symmetric_key(derive_key(forge.backend.services.settings.secret_key, "refresh tokens"))
    header, claims = (decode_part(forge.login["refresh_token"], at) for at in (0, 1))
    token = sign(key, header, claims | {name: "x\0"})
    with forge.backend.app.app_context(), pytest.raises(RefreshInvalid):
        forge.backend.services.token_codec.verify_refresh_token(token)


@pytest.mark.parametrize("name", ["sub", "sid", "gen"])
def test_a_refresh_token_is_rejected_when_a_claim_is_malformed(
    forge: TokenForger, name: str
) -> None:
    """Signed with the right key: 401, not 500 (S-033)."""
    key = symmetric_key(derive_key(forge.backend.services.settings.secret_key, "refresh tokens"))
    header, claims = (decode_part(forge.login["refresh_token"], at) for at in (0, 1))
    odd = [2**63, 10**30] if name == "gen" else NO_IDS
    tokens = [sign(key, header, claims | {name: value}) for value in odd]
    responses = [
        forge.client().post("/auth/refresh", json={"refresh_token": one}) for one in tokens
    ]
    assert {response.status_code for response in responses} == {401}


@pytest.mark.parametrize(
    "scope",
    [
        None,
        1,
        True,
        [],
        ["vault:open"],
        {"vault:open": True},
        "vault:open ",
        " vault:open",
        "vault:open  items:read",
        "vault:open\titems:read",
        "vault:open,items:read",
        "vault:open\n",
        "VAULT:OPEN vault:open",
        "vault:open\xa0items:read",
        "vault:open \u2028",
        "*",
        "vault:*",
        "vault:open " + "x:y " * 600,
    ],
)
def test_a_token_is_rejected_when_scope_is_not_a_scope_string(
    forge: TokenForger, scope: object
) -> None:
    """One string, single spaces, allowed characters (S-085)."""
    assert forge.try_token(forge.with_claims(scope=scope)) == REJECTED


@pytest.mark.parametrize(
    "scope",
    ["", "vault:opened", "vault:ope", "xvault:open", "vault:open2", "items:read", "open:vault"],
)
def test_a_scope_is_missing_when_only_a_part_of_its_name_matches(
    forge: TokenForger, scope: str
) -> None:
    """A prefix or suffix is not enough (S-085); the token is valid, so the status is 403."""
    response = forge.backend.bearer_client(forge.with_claims(scope=scope)).get("/vault")
    assert (response.status_code, response.get_json()["code"]) == (403, "insufficient_scope")


@pytest.mark.parametrize(
    "iss",
    [
        None,
        "",
        1,
        [],
        "http://localhost",
        "http://localhost:8000/",
        "http://localhost:8000.evil.example",
        "xhttp://localhost:8000",
        "HTTP://LOCALHOST:8000",
        "localhost:8000",
        ["http://localhost:8000"],
        "http://localhost:80",
        " http://localhost:8000",
        "https://localhost:8000",
        "http://localhost:8000?",
    ],
)
def test_a_token_is_rejected_when_it_has_another_issuer(forge: TokenForger, iss: object) -> None:
    """The exact string, not a part of it (CVE-2024-53861, S-120)."""
    assert forge.try_token(forge.with_claims(iss=iss)) == REJECTED


@pytest.mark.parametrize(
    "aud",
    [
        None,
        "",
        1,
        [],
        {},
        "other",
        "itemsap",
        "itemsapi ",
        "ITEMSAPI",
        ["other"],
        ["itemsapi", 1],
        ["itemsapi", None],
        [["itemsapi"]],
        {"itemsapi": 1},
        True,
        "itemsapi,other",
        "itemsapi other",
        ["itemsapix"],
    ],
)
def test_a_token_is_rejected_when_it_has_another_audience(forge: TokenForger, aud: object) -> None:
    """A string or a list of strings that contains ours (S-120)."""
    assert forge.try_token(forge.with_claims(aud=aud)) == REJECTED


@pytest.mark.parametrize("aud", ["itemsapi", ["itemsapi"], ["other", "itemsapi"]])
def test_a_token_is_accepted_when_our_audience_is_in_a_list(
    forge: TokenForger, aud: object
) -> None:
    """RFC 7519 section 4.1.3 (S-120)."""
    assert forge.try_token(forge.with_claims(aud=aud)) == ACCEPTED


@pytest.mark.parametrize(
    "typ",
    [
        None,
        1,
        [],
        {},
        "",
        "JWT",
        "at",
        "at+jwt ",
        " at+jwt",
        "rt+jwt",
        "application/jwt",
        "at+jwt;x=1",
        "application/application/at+jwt",
        "dpop+jwt",
        "id_token+jwt",
        "at\u2010jwt",
        "application/rt+jwt",
    ],
)
def test_a_token_is_rejected_when_it_has_another_typ(forge: TokenForger, typ: object) -> None:
    """RFC 9068 section 4 (S-025)."""
    assert forge.try_token(forge.with_header(typ=typ)) == REJECTED


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"])
def test_typ_is_compared_as_a_media_type(forge: TokenForger, typ: str) -> None:
    """Case-insensitive, with or without `application/` (RFC 7515 section 4.1.9, S-025)."""
    assert forge.try_token(forge.with_header(typ=typ)) == ACCEPTED


@pytest.mark.parametrize("kind", [None, "", "refresh", "ACCESS", "Access", "access ", 1, [], True])
def test_a_token_is_rejected_when_it_has_another_type_claim(
    forge: TokenForger, kind: object
) -> None:
    """Flask-JWT-Extended accepts any `type` but `refresh` as an access token (S-031)."""
    assert forge.try_token(forge.with_claims(type=kind)) == REJECTED


@pytest.mark.parametrize("name", ["fresh", "amr"])
def test_a_token_is_rejected_when_another_claim_is_malformed(forge: TokenForger, name: str) -> None:
    """Views may read these claims, so their types are checked (S-033)."""
    odd: list[object] = [None, 1, "x", {}, [1], [[]], [None], [""]]
    assert {forge.try_token(forge.with_claims(**{name: value})) for value in odd} == {REJECTED}


ODD_MEMBERS: dict[str, list[object]] = {
    "crit": [["exp"], ["b64"], ["x"], [], None, "exp"],
    "b64": [False, True, "false"],
    "zip": ["DEF", "", None],
    "jwk": [{}, {"kty": "oct", "k": "AAAA"}, None, "x"],
    "jku": ["http://127.0.0.1:9/jwks.json", "", None],
    "x5u": ["http://127.0.0.1:9/x.pem", "file:///etc/passwd"],
    "x5c": [["MIIB"], [], "MIIB"],
    "x5t": ["AAAA"],
    "x5t#S256": ["AAAA"],
    "enc": ["A256GCM"],
    "cty": ["JWT", ""],
    "epk": [{}],
    "p2c": [10**9],
    "apu": ["x"],
    "iss": ["http://localhost:8000"],
    "": [1],
    "Alg": ["none"],
    "ALG": ["none"],
}


@pytest.mark.parametrize("name", ODD_MEMBERS)
def test_a_token_is_rejected_when_its_header_has_another_member(
    forge: TokenForger, name: str
) -> None:
    """Exactly alg, kid and typ: nothing is fetched, decompressed or disabled (S-022, S-026)."""
    tokens = [forge.with_header(**{name: value}) for value in ODD_MEMBERS[name]]
    assert {forge.try_token(token) for token in tokens} == {REJECTED}


@pytest.mark.parametrize("name", ["alg", "kid", "typ"])
def test_every_header_member_is_required(forge: TokenForger, name: str) -> None:
    """And is a word (S-020, S-023, S-025)."""
    tokens = [forge.with_header(**{name: value}) for value in (..., *NO_WORDS)]
    assert {forge.try_token(token) for token in tokens} == {REJECTED}


def test_a_token_is_rejected_when_it_brings_its_own_key(forge: TokenForger) -> None:
    """A token signed by the key in its header (CVE-2026-27962, S-022)."""
    key = symmetric_key(b"attacker" * 4)
    header = forge.header | {"alg": "HS256", "jwk": key.members()}
    heads = [header, header | {"kid": key.kid}]
    assert {forge.try_token(sign(key, head, forge.payload)) for head in heads} == {REJECTED}


ODD_KIDS = [
    "../../../../dev/null",
    "/dev/null",
    "file:///dev/null",
    "' OR '1'='1",
    "x'; DROP TABLE itemsapi_user;--",
    "%00",
    "\x00",
    "\r\nX-Injected: 1",
    "\x1b[31m",
    "\u202e",
    "\ud800",
    "*",
    "%",
    "_",
    "None",
    "null",
    "x" * 200,
    "__proto__",
    "é",
    "\ufeff",
    "http://127.0.0.1:9/",
    "{{7*7}}",
    "${jndi:ldap://x}",
]


@pytest.mark.parametrize("at", range(len(ODD_KIDS)))
def test_a_token_is_rejected_when_its_kid_is_hostile(forge: TokenForger, at: int) -> None:
    """Traversal, SQL, control characters, lone surrogates: looked up and not found (S-023)."""
    assert forge.try_token(forge.with_header(kid=ODD_KIDS[at])) == REJECTED


def test_a_token_is_rejected_when_its_kid_is_spelled_otherwise(forge: TokenForger) -> None:
    """Compared exactly (S-023)."""
    kid = forge.key.kid
    odd = [kid + " ", kid[:-1], kid.swapcase(), kid + "=", f"{kid},{kid}", kid + "\x00"]
    assert {forge.try_token(forge.with_header(kid=one)) for one in odd} == {REJECTED}


@LOOSE
@given(
    name=st.sampled_from(sorted(REQUIRED_CLAIMS - {"aud", "fresh", "amr", "scope", "sub"})),
    value=json_values,
)
@example(name="gen", value=2**63 - 1)
@example(name="gen", value=2**63)
@example(name="auth_time", value=253_402_300_799)
@example(name="auth_time", value=253_402_300_800)
def test_no_value_of_a_claim_causes_an_error(forge: TokenForger, name: str, value: object) -> None:
    """Any JSON in any claim: 401, or the same meaning as before; never 5xx (S-014)."""
    verdict = forge.try_token(forge.with_claims(**{name: value}))
    least = {"gen": 1, "auth_time": 1, "epoch": 0}.get(name)
    most = 253_402_300_799 if name == "auth_time" else 2**63 - 1  # the end of 9999; a bigint
    number = type(value) is int and least is not None and least <= value <= most
    assert verdict == ACCEPTED if number else verdict == REJECTED


@LOOSE
@given(extra=st.dictionaries(st.text(max_size=10), json_values, max_size=4))
def test_unknown_claims_are_ignored(forge: TokenForger, extra: dict[str, object]) -> None:
    """A later version may add some (S-014, S-028)."""
    surplus = {
        name: value for name, value in extra.items() if name not in REQUIRED_CLAIMS | {"nbf"}
    }
    assert forge.try_token(forge.with_claims(**surplus)) in {ACCEPTED, REJECTED}


@pytest.mark.parametrize(
    ("iat", "life", "verdict"),
    [
        (0, 600, ACCEPTED),
        (60, 600, ACCEPTED),
        (61, 600, REJECTED),
        (-600, 600, REJECTED),
        (-600, 601, ACCEPTED),
        (0, HOUR_AND_JITTER, ACCEPTED),
        (0, HOUR_AND_JITTER + 1, REJECTED),
        (-HOUR_AND_JITTER, 2 * HOUR_AND_JITTER, REJECTED),
        (10, -5, REJECTED),
        (10, 0, REJECTED),
    ],
)
def test_times_and_lifetime_have_exact_limits(
    forge: TokenForger, iat: int, life: int, verdict: str
) -> None:
    """`iat` at most a minute ahead, `exp` without leeway, a maximum lifetime (S-024)."""
    now = int(forge.backend.clock().timestamp())
    token = forge.with_claims(iat=now + iat, exp=now + iat + life)
    assert forge.try_token(token) == verdict


@pytest.mark.parametrize(("nbf", "verdict"), [(-60, ACCEPTED), (60, ACCEPTED), (61, REJECTED)])
def test_nbf_has_a_minute_of_leeway(forge: TokenForger, nbf: int, verdict: str) -> None:
    """Documented and bounded (S-024)."""
    now = int(forge.backend.clock().timestamp())
    assert forge.try_token(forge.with_claims(nbf=now + nbf)) == verdict


def test_an_access_token_has_exactly_the_documented_claims(forge: TokenForger) -> None:
    """No mail address, no name, no role (S-032): the list is in tokens.claims."""
    assert forge.payload.keys() == REQUIRED_CLAIMS - {"nbf"} | {"aud"}
    assert forge.header.keys() == {"alg", "kid", "typ"}


def test_a_refresh_token_is_rejected_as_an_access_token(forge: TokenForger) -> None:
    """With the typ of one, too: other key, other kid, other claims (S-031, S-121)."""
    refresh = forge.login["refresh_token"]
    relabelled = (
        encode_part(decode_part(refresh, 0) | {"typ": "at+jwt"}) + refresh[refresh.index(".") :]
    )
    assert {forge.try_token(token) for token in (refresh, relabelled)} == {REJECTED}


def test_access_claims_are_rejected_when_the_refresh_key_signed_them(forge: TokenForger) -> None:
    """A leaked refresh key can still sign no access token (S-121)."""
    key = symmetric_key(derive_key(forge.backend.services.settings.secret_key, "refresh tokens"))
    heads = [{"alg": "HS256", "kid": key.kid, "typ": typ} for typ in ("at+jwt", "rt+jwt")]
    assert {forge.try_token(sign(key, head, forge.payload)) for head in heads} == {REJECTED}


@pytest.mark.parametrize("path", ["/auth/refresh", "/auth/logout"])
def test_an_access_token_is_rejected_as_a_refresh_token(forge: TokenForger, path: str) -> None:
    """In the body, and with another typ (S-031): logout ends nothing, refresh returns 401."""
    relabelled = forge.with_header(typ="rt+jwt")
    responses = [
        forge.client().post(path, json={"refresh_token": token})
        for token in (forge.valid_token, relabelled)
    ]
    assert {response.status_code for response in responses} == {401 if "refresh" in path else 204}
    assert forge.try_token(forge.valid_token) == ACCEPTED


def test_an_access_token_is_rejected_as_a_refresh_token_at_the_oauth_endpoint(
    forge: TokenForger,
) -> None:
    """The same at /oauth/token: invalid_grant (S-031, RFC 6749 section 5.2)."""
    form = {"grant_type": "refresh_token", "refresh_token": forge.valid_token}
    response = forge.client().post("/oauth/token", data=form)
    assert (response.status_code, response.get_json()["error"]) == (400, "invalid_grant")


def test_refresh_claims_are_rejected_when_the_key_set_signed_them(forge: TokenForger) -> None:
    """A correctly signed access token with all claims of a refresh token (S-121)."""
    claims = decode_part(forge.login["refresh_token"], 1)
    token = sign(forge.key, forge.header | {"typ": "rt+jwt"}, claims)
    response = forge.client().post("/auth/refresh", json={"refresh_token": token})
    assert (response.status_code, response.get_json()["code"]) == (401, "invalid_refresh_token")
