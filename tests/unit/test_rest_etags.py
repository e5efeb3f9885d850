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
    """S-153: strong comparison; a star is any version, and one of several will do."""
    precondition(_request(If_Match=sent)).check(7)


@pytest.mark.parametrize("sent", ["*", '"v7"', 'W/"v7"', '"v1", "v7"'])
def test_change_is_refused_when_if_none_match_names_the_version(sent: str) -> None:
    """S-153: weak comparison (13.1.2), beside an `If-Match` that is good."""
    with pytest.raises(PreconditionFailed):
        precondition(_request(If_Match='"v7"', If_None_Match=sent)).check(7)


@pytest.mark.parametrize("sent", ['"v6"', '"other"', "v7", ""])
def test_change_is_made_when_if_none_match_names_another(sent: str) -> None:
    """S-153: what is no tag names nothing."""
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
        '*, "v7"',
        '"v-7"',
        '"v\u0667"',
        '"v' + "9" * 30 + '"',
    ],
)
def test_change_is_refused_when_if_match_does_not_name_the_version(sent: str) -> None:
    """S-153: a weak, foreign or malformed tag matches nothing (13.1.1)."""
    with pytest.raises(PreconditionFailed):
        precondition(_request(If_Match=sent)).check(7)


@pytest.mark.parametrize("sent", ['W/"v7"', 'W/"v3", W/"v7"', 'W/"v7", "other"'])
def test_refusal_says_so_when_the_etag_came_back_weak(sent: str) -> None:
    """S-153: something on the way compresses; to read it again helps nobody."""
    with pytest.raises(PreconditionFailed, match="weak"):
        precondition(_request(If_Match=sent)).check(7)


@pytest.mark.parametrize("sent", ['W/"other"', '"other"', '"v1","v2"', 'W/"v1", "v2", "v3"', ""])
def test_refusal_blames_no_proxy_when_the_tag_is_not_a_weak_version(sent: str) -> None:
    """S-153: the usual words then."""
    with pytest.raises(PreconditionFailed, match="Read it again"):
        precondition(_request(If_Match=sent)).check(7)


def test_change_is_refused_when_if_match_is_missing() -> None:
    """S-153, RFC 6585 section 3: 428."""
    with pytest.raises(PreconditionRequired):
        precondition(_request())


@pytest.mark.parametrize("sent", ['"v7"', 'W/"v7"', '"v1", "v7"', "*", '"a,b", "v7"'])
def test_answer_is_not_modified_when_the_client_has_it(sent: str) -> None:
    """S-153: If-None-Match compares weakly (13.1.2)."""
    assert not_modified(_request(If_None_Match=sent), etag(7))


@pytest.mark.parametrize("sent", ['"v8"', "v7", '"v7', "", '"v1" "v7"'])
def test_answer_is_sent_when_the_client_has_another(sent: str) -> None:
    """S-153: another version, or no tag at all."""
    assert not not_modified(_request(If_None_Match=sent), etag(7))


def test_answer_is_sent_when_nothing_is_asked() -> None:
    """Without If-None-Match there is nothing to compare."""
    assert not not_modified(_request(), etag(7))


@pytest.mark.parametrize("sent", ['"v6"', 'W/"v7"', "", "v7", '"v7'])
def test_reader_is_refused_when_if_match_does_not_name_the_version(sent: str) -> None:
    """S-153: also where `If-None-Match` names it: `If-Match` counts first (13.2.2)."""
    with pytest.raises(PreconditionFailed):
        not_modified(_request(If_Match=sent, If_None_Match='"v7"'), etag(7))


@pytest.mark.parametrize("sent", ['"v7"', "*", '"v1", "v7"'])
def test_reader_is_answered_when_if_match_names_the_version(sent: str) -> None:
    """S-153: as without it."""
    assert not not_modified(_request(If_Match=sent), etag(7))
    assert not_modified(_request(If_Match=sent, If_None_Match='"v7"'), etag(7))
