"""Addresses in every spelling that there is: of clients (S-114), of pages, and our own."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemsapi.web_addresses import (
    UNKNOWN_ADDRESS,
    client_address,
    client_key,
    is_origin,
    is_public_url,
)

READ = [
    ("203.0.113.9", "203.0.113.9"),
    (" 203.0.113.9\t", "203.0.113.9"),
    ("203.0.113.9:1002", "203.0.113.9"),
    ("[2001:db8::5]:443", "2001:db8::5"),
    ("[2001:db8::5]", "2001:db8::5"),
    ("2001:DB8:0:0::5", "2001:db8::5"),
    ("fe80::1%eth0", "fe80::1"),
    ("[fe80::1%25eth0]:80", "fe80::1"),
    ("fe80::1%\x1b[2J", "fe80::1"),
    ("::ffff:203.0.113.9", "203.0.113.9"),
    ("::ffff:cb00:7109", "203.0.113.9"),
    ("[::ffff:203.0.113.9]:1002", "203.0.113.9"),
    ("64:ff9b::203.0.113.9", "203.0.113.9"),
]
UNREADABLE = [
    *("", " ", "unknown", "_hidden", "-", "unix:", "localhost", "203.0.113", "0x7f.1", "127.1"),
    *("203.0.113.9:", "203.0.113.9:_x", "203.0.113.09", "203.0.113.9, 1.1.1.1", '"203.0.113.9"'),
    *("[2001:db8::5", "2001:db8::5]", "[]", "[]:80", "[unknown]:80", ":80", "for=203.0.113.9"),
    *(
        "203.0.113.9" + " " * 90,
        "fe80::1%" + "e" * 100,
        "203.0.113.9\r\nX: y",
        "\u0662\u0660\u0663.0.113.9",
        "2001:db8::5::",
        "999.0.113.9",
    ),
]


@pytest.mark.parametrize(("text", "address"), READ)
def test_an_address_is_read_in_every_spelling(text: str, address: str) -> None:
    """With port, in brackets, with zone, mapped (S-114)."""
    assert client_address(text) == address


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_is_no_address_is_unknown(text: str) -> None:
    """All of it alike, whatever it says (S-114)."""
    assert (client_address(text), client_key(text)) == (UNKNOWN_ADDRESS, UNKNOWN_ADDRESS)


@given(
    st.text(max_size=60) | st.from_regex(r"\[?[0-9a-f.:]{1,40}\]?(%\w+)?(:\d+)?", fullmatch=True)
)
def test_whatever_is_read_has_one_spelling(text: str) -> None:
    """Read again it is the same, and it is an address or unknown (S-114)."""
    found = client_address(text)
    assert client_address(found) == found
    assert found == UNKNOWN_ADDRESS or found == str(ipaddress.ip_address(found))


@given(st.ip_addresses(), st.integers(0, 65535))
def test_an_address_is_the_same_with_and_without_port(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int
) -> None:
    """So a client has one bucket, whatever its connections are called (S-114)."""
    bare = f"[{ip}]" if ip.version == 6 else str(ip)
    assert client_key(f"{bare}:{port}") == client_key(str(ip)) != UNKNOWN_ADDRESS


APPS = ["capacitor://localhost", "ionic://localhost", "tauri://localhost", "http://tauri.localhost"]


@pytest.mark.parametrize(
    "text",
    [*APPS, "https://localhost", "http://localhost:5173", "app://-", "http://[::1]:8080"],
)
def test_an_origin_is_what_a_browser_sends(text: str) -> None:
    """Pages and apps in a web view (S-093)."""
    assert is_origin(text)


@pytest.mark.parametrize(
    "text",
    [
        *("null", "*", "", "https://*", "https://*.example", "file://", "file://localhost"),
        *("https://a.example/", "https://A.example", "HTTPS://a.example", "a.example"),
        *("https://a.example:443", "http://a.example:80", "https://a.example:99999"),
        *("https://a.example:x", "https://a.example:", "https://u@a.example", "https://[::zz]"),
        *("https://[1:2]", "capacitor://", "capacitor://localhost/", "https://a.example\n"),
        *("https://a.example:0", "://a.example", "1app://localhost", "https://ä.example"),
    ],
)
def test_anything_else_is_no_origin(text: str) -> None:
    """No wildcard, no `null`, nothing that is everybody's (S-093)."""
    assert not is_origin(text)


@pytest.mark.parametrize(
    "text",
    ["https://api.example", "http://localhost:8000", "https://[::1]:8443", "https://h/api/v1.2"],
)
def test_a_public_url_may_have_a_port_and_a_path(text: str) -> None:
    """What clients use."""
    assert is_public_url(text)


@pytest.mark.parametrize(
    "text",
    [
        *("http://host:99999", "http://host:x", "http://host:0", "http://host:", "http://", "host"),
        *("ftp://host", "http://u@host", "http://host?x", "http://host#x", "http://host\n"),
        *(
            "http://host/a//b",
            "http://host/../a",
            "http://host/.",
            "http://host/a/..",
            "http://h/%2F",
        ),
        *(
            "http://host/a b",
            "http://host/a;b",
            "http://host/~a",
            "http://[1:2]",
            "http://ä.example",
        ),
    ],
)
def test_nonsense_is_no_public_url(text: str) -> None:
    """Nothing that a proxy and we could read in two ways."""
    assert not is_public_url(text)


@pytest.mark.parametrize(
    "host", ["_", "-", ".", "..", "a..b", ".a", "-a", "a-", "__", "1", "256.1.1.1", "1.2.3", "0x7f",
             "a" * 64, "a.-.b", "127.1"]
)  # fmt: skip
def test_a_host_that_no_browser_reaches_is_no_origin(host: str) -> None:
    """`https://_` would never be sent, so whoever wrote it meant something else."""
    assert not is_origin(f"https://{host}")
    assert not is_public_url(f"https://{host}")


@pytest.mark.parametrize(
    "host",
    ["a", "localhost", "my_app.local", "_x.example", "xn--mgbh0fb.example", "1a.example",
     "127.0.0.1", "example.", "a-b.c-d", "[::1]", "1.example"],
)  # fmt: skip
def test_a_host_that_a_browser_reaches_is_one(host: str) -> None:
    """Underscores and trailing dots are odd, and there are pages on such hosts."""
    assert is_origin(f"https://{host}")
    assert is_public_url(f"https://{host}")
