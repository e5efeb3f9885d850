"""`verify.toml` is read strictly: a setting that is not read would prove nothing."""

import pytest

from itemsapi.verify.failures import CannotVerify
from itemsapi.verify.settings import parse_settings


def test_all_parts_are_read_when_the_file_is_right() -> None:
    """Tables become values of their own."""
    content = {
        "login": "ada",
        "public": ["GET /docs*"],
        "values": {"POST /items": {"body": {"name": "x"}}},
        "scopes": {"GET /i*": ["items:read"]},
    }
    settings = parse_settings(content)
    assert settings.is_public("GET /docs/x")
    assert settings.values_for("POST /items").body == {"name": "x"}
    assert settings.scopes_for("GET /items") == ["items:read"]


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ({"logn": "ada"}, "logn is not a setting; did you mean login"),
        ({"write": "yes"}, "write must be true or false"),
        ({"public": "GET /"}, "public must be a list"),
        ({"revocation_lag": -1}, "revocation_lag must be a number"),
        ({"revocation_lag": True}, "revocation_lag must be a number"),
        ({"skip": {"GET /": 1}}, "skip must be a table"),
        ({"scopes": {"GET /": "x"}}, "scopes must be a table of lists"),
        ({"login_request": {"pth": "/"}}, "login_request.pth"),
        ({"values": {"GET /": {"bdy": 1}}}, "values.GET /.bdy"),
        ({"values": 1}, "values must be tables"),
        ({"login_request": 1}, "login_request must be a table"),
    ],
)
def test_file_is_refused_when_a_key_is_wrong(content: dict[str, object], key: str) -> None:
    """The message names the key."""
    with pytest.raises(CannotVerify, match=key.replace(".", r"\.")):
        parse_settings(content)


def test_operation_is_not_public_when_only_its_path_is_named() -> None:
    """A pattern includes the method: what may be read need not be writable."""
    assert not parse_settings({"public": ["/items"]}).is_public("POST /items")
