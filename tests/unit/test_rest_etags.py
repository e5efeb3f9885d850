"""ETags and preconditions (RFC 9110 section 13)."""

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from itemsapi.problems import PreconditionFailed, PreconditionRequired
from itemsapi.rest.etags import etag, not_modified, precondition


def _request(**headers: str) -> Request:
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Request(EnvironBuilder(headers=named).get_environ())


@pytest.mark.parametrize(
    "sent",
    ['"v7"', "*", ' "v7" ', 'W/"v3", "v7"', '"other","v7"', '"v1", "v7"', '"v1",, "v7"', ',"v7",'],
)
def test_change_is_made_when_if_match_names_the_version(sent: str) -> None:
    """S-153: strong comparison; `*` matches any version, and one match in a list is enough."""
    precondition(_request(If_Match=sent)).check(7)


@pytest.mark.parametrize("sent", ["*", '"v7"', 'W/"v7"', '"v1", "v7"'])
def test_change_is_rejected_when_if_none_match_names_the_version(sent: str) -> None:
    """S-153: weak comparison (13.1.2), together with a matching `If-Match`."""
    with pytest.raises(PreconditionFailed):
        precondition(_request(If_Match='"v7"', If_None_Match=sent)).check(7)


@pytest.mark.parametrize("sent", ['"v6"', '"other"', "v7", ""])
def test_change_is_made_when_if_none_match_names_another(sent: str) -> None:
    """S-153: malformed tags match nothing."""
    precondition(_request(If_Match='"v7"', If_None_Match=sent)).check(7)


@pytest.mark.parametrize(
    "sent",
    [
        "",
        'W/"v7"',
        '"7"',
        "v7",
        '"v7',
        '"v1","v2"',
        '"v7" "v7"',
        '"v7", v8',
        '*, "v7"',
        '"v-7"',
        '"v\u0667"',
        '"v' + "9" * 30 + '"',
    ],
)
def test_change_is_rejected_when_if_match_does_not_name_the_version(sent: str) -> None:
    """S-153: a weak, unknown or malformed tag matches nothing (13.1.1)."""
    with pytest.raises(PreconditionFailed):
        precondition(_request(If_Match=sent)).check(7)


@pytest.mark.parametrize("sent", ['W/"v7"', 'W/"v3", W/"v7"', 'W/"v7", "other"'])
def test_error_names_the_cause_when_the_etag_came_back_weak(sent: str) -> None:
    """S-153: a proxy compresses responses; reading the resource again does not help."""
    with pytest.raises(PreconditionFailed, match="weak"):
        precondition(_request(If_Match=sent)).check(7)


@pytest.mark.parametrize("sent", ['W/"other"', '"other"', '"v1","v2"', 'W/"v1", "v2", "v3"', ""])
def test_error_names_no_proxy_when_the_tag_is_not_a_weak_version(sent: str) -> None:
    """S-153: the response has the usual detail."""
    with pytest.raises(PreconditionFailed, match="Read it again"):
        precondition(_request(If_Match=sent)).check(7)


def test_change_is_rejected_when_if_match_is_missing() -> None:
    """S-153, RFC 6585 section 3: 428."""
    with pytest.raises(PreconditionRequired):
        precondition(_request())


@pytest.mark.parametrize("sent", ['"v7"', 'W/"v7"', '"v1", "v7"', "*", '"a,b", "v7"'])
def test_response_is_not_modified_when_the_client_has_the_version(sent: str) -> None:
    """S-153: If-None-Match compares weakly (13.1.2)."""
    assert not_modified(_request(If_None_Match=sent), etag(7))


@pytest.mark.parametrize("sent", ['"v8"', "v7", '"v7', "", '"v1" "v7"'])
def test_response_is_sent_when_the_client_has_another_version(sent: str) -> None:
    """S-153: another version, or a malformed tag."""
    assert not not_modified(_request(If_None_Match=sent), etag(7))


def test_response_is_sent_when_if_none_match_is_missing() -> None:
    """Without `If-None-Match` there is nothing to compare."""
    assert not not_modified(_request(), etag(7))


@pytest.mark.parametrize("sent", ['"v6"', 'W/"v7"', "", "v7", '"v7'])
def test_read_is_rejected_when_if_match_does_not_name_the_version(sent: str) -> None:
    """S-153: even if `If-None-Match` names it: `If-Match` is checked first (13.2.2)."""
    with pytest.raises(PreconditionFailed):
        not_modified(_request(If_Match=sent, If_None_Match='"v7"'), etag(7))


@pytest.mark.parametrize("sent", ['"v7"', "*", '"v1", "v7"'])
def test_read_succeeds_when_if_match_names_the_version(sent: str) -> None:
    """S-153: the result is the same as without `If-Match`."""
    assert not not_modified(_request(If_Match=sent), etag(7))
    assert not_modified(_request(If_Match=sent, If_None_Match='"v7"'), etag(7))
