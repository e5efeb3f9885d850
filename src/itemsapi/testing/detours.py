"""Ways to a view around its rule: other methods, method overrides, other spellings of the path."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

OTHER_METHODS = ("GET", "HEAD", "OPTIONS", "POST", "TRACE", "PROPFIND")
OVERRIDE_HEADERS = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")
OVERRIDE_PARAMETER = "_method"


@dataclass(frozen=True, slots=True)
class Detour:
    """A request without a token; `path` is as the server passes it on, decoded."""

    name: str
    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


def detours(method: str, path: str) -> Iterator[Detour]:
    """Yield the ways around the rule of `method` and `path`."""
    for other in OTHER_METHODS:
        if other != method:
            yield Detour(f"{other} instead", other, path)
    for sent in sorted({"GET", "POST"} - {method}):
        for header in OVERRIDE_HEADERS:
            yield Detour(f"{sent} with {header}", sent, path, {header: method})
        query = {OVERRIDE_PARAMETER: method}
        yield Detour(f"{sent} with ?{OVERRIDE_PARAMETER}", sent, path, query=query)
    for spelling in dict.fromkeys(_spellings(path)):
        if spelling != path:
            yield Detour(f"path {spelling!r}", method, spelling)


def _spellings(path: str) -> Iterator[str]:
    """Yield other spellings of a path that some server, proxy or framework takes for the same."""
    yield f"/{path}"
    yield path.replace("/", "//")
    yield f"/.{path}"
    yield f"/x/..{path}"
    yield f"/%2e{path}"
    yield f"{path}/"
    yield path.rstrip("/")
    yield f"{path}/."
    yield f"{path};a=b"
    yield f"{path}%00"
    yield f"{path}\x00"
    yield f"{path} "
    yield path.upper()
    yield path.swapcase()
    yield path[:1] + path[1:].replace("/", "%2f")
    yield path.replace("/", "\\")
