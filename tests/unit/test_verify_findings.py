"""Reports: a curl line for each fault, no secrets, an exit code that means something."""

from xml.etree import ElementTree as ET

import pytest

from itemsapi.verify.broken_tokens import broken_credentials
from itemsapi.verify.findings import Finding, Outcome
from itemsapi.verify.judging import MAX_DETAIL_LENGTH, problem_detail
from itemsapi.verify.report import Report
from itemsapi.verify.tokens import Minted, decoded, holds_scope
from itemsapi.verify.wire import Request, Response

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEiLCJzY29wZSI6ImE6cmVhZCJ9.c2lnbmF0dXJlLW9mLWl0"
REQUEST = Request("POST", "/it's", {"Content-Type": "text/plain"}, b"a b")


def report_of(*findings: Finding) -> Report:
    """Return a report that hides `TOKEN`."""
    return Report("u", "http://h", findings, 1, 0.1, lambda text: text.replace(TOKEN, "***"))


def fault(**fields: object) -> Finding:
    """Return a fault."""
    values = {"operation": "GET /", "attack": "no token", "outcome": Outcome.FAULT, **fields}
    return Finding(**values)  # type: ignore[arg-type]  # fields of the test


def test_curl_line_repeats_the_request_when_there_was_no_token() -> None:
    """The words are quoted for a shell."""
    assert fault(request=REQUEST).curl("http://h") == (
        "curl -i --path-as-is -X POST 'http://h/it'\"'\"'s'"
        " -H 'Content-Type: text/plain' --data-binary 'a b'"
    )


@pytest.mark.parametrize("credential", list(broken_credentials(TOKEN)), ids=lambda one: one.name)
def test_curl_line_has_no_token_when_a_broken_one_was_sent(credential: object) -> None:
    """Neither the token nor its claims are in the line."""
    sent = credential.put_into(REQUEST)  # type: ignore[attr-defined]  # a BrokenCredential
    line = fault(request=sent, credential="broken").curl("http://h")
    assert "$TOKEN" in line
    assert "eyJ" not in line


def test_broken_credentials_never_equal_the_token_in_its_own_place() -> None:
    """Otherwise a correct service would seem to accept broken tokens."""
    assert f"Bearer {TOKEN}" not in {one.authorization for one in broken_credentials(TOKEN)}


def test_json_web_tokens_are_left_out_when_the_token_is_opaque() -> None:
    """There is no signature to break."""
    assert "alg none" not in {one.name for one in broken_credentials("opaque-token")}


def test_secrets_are_hidden_when_an_answer_repeats_them() -> None:
    """A service may echo a token in what is reported."""
    report = report_of(fault(detail=f"said {TOKEN}\x1b[2J"))
    assert TOKEN not in "".join([*report.lines(), str(report.as_json()), str(report.as_junit())])
    assert "\x1b" not in "".join(report.lines())


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([Outcome.OK, Outcome.WARNING, Outcome.NOTE], 0),
        ([Outcome.OK, Outcome.UNPROVED], 3),
        ([Outcome.UNPROVED, Outcome.FAULT], 1),
        ([Outcome.PUBLIC], 1),
    ],
)
def test_exit_code_is_that_of_the_worst_finding(outcomes: list[Outcome], code: int) -> None:
    """A gap is no success, and no fault either."""
    findings = [Finding("GET /", "control", outcome) for outcome in outcomes]
    assert report_of(*findings).exit_code == code


def test_operation_is_not_proved_when_one_attack_is_unproved() -> None:
    """The summary counts it as protected only."""
    report = report_of(
        Finding("GET /a", "control", Outcome.OK),
        Finding("GET /b", "control", Outcome.UNPROVED, "why"),
    )
    assert report.summary.startswith("1 of 2 protected operations proved, 0 faults")


def test_junit_has_a_failure_when_there_is_a_fault() -> None:
    """Control characters of the service do not make the file invalid."""
    suite = ET.fromstring(report_of(fault(detail="\x00")).as_junit())  # noqa: S314 - ours
    assert suite.get("failures") == "1"
    assert suite.find("testcase/failure") is not None


def test_variants_are_one_line_when_they_have_the_same_result() -> None:
    """Eleven broken tokens that are refused alike need no eleven lines."""
    lines = report_of(fault(variant="a", detail="x"), fault(variant="b", detail="x")).lines()
    assert lines == ["FAULT GET /, no token (a, b): x"]


def test_scope_is_seen_when_a_command_does_not_narrow_its_tokens() -> None:
    """A token that kept the scope proves nothing about it."""
    assert holds_scope(Minted(TOKEN), "a:read")
    assert not holds_scope(Minted(TOKEN), "a:write")


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "....", "W10.W10.x", "é.é.é"])
def test_claims_are_empty_when_a_token_is_no_json_web_token(token: str) -> None:
    """Nothing a service returns ends the run."""
    assert decoded(token, 1) == {}


def test_summary_counts_the_operations_when_nothing_names_their_scopes() -> None:
    """They are no gap, and they are not passed over in silence."""
    unnamed = Finding("GET /", "scope", Outcome.NOTE, "", "unnamed")
    report = report_of(unnamed)
    assert (report.exit_code, "1 without a scope to leave out" in report.summary) == (0, True)
    assert "without" not in report_of().summary


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"detail": "roles: There is no such role."}', " (roles: There is no such role)"),
        (b'{"detail": {"a": 1}}', ""),
        (b'{"detail": ""}', ""),
        (b"[1]", ""),
        (b"<html>", ""),
    ],
)
def test_reason_of_a_refusal_is_shown_when_the_service_says_it(body: bytes, said: str) -> None:
    """The `detail` of a problem (RFC 9457) tells which values are wrong; others say nothing."""
    assert problem_detail(Response(422, {}, body)) == said


def test_reason_of_a_refusal_is_cut_when_it_is_long() -> None:
    """The service may be hostile."""
    assert problem_detail(Response(422, {}, b'{"detail": "%s"}' % (b"x" * 5000))) == (
        f" ({'x' * MAX_DETAIL_LENGTH})"
    )
