"""Names of the document's components and operations: each is unique, and most need no number."""

import itertools
import re
from collections.abc import Container, Iterable, Iterator


def unique_name(names: Iterable[str], taken: Container[str]) -> str:
    """Return the first of `names` that is not taken; if all are, the first one with a number."""
    candidates = list(names)
    numbered = (f"{candidates[0]}{number}" for number in itertools.count(2))
    return next(name for name in itertools.chain(candidates, numbered) if name not in taken)


def component_names(name: str, module: str) -> Iterator[str]:
    """Yield the name of a class as a component, then the same with more and more of its module."""
    name = re.sub(r"[^A-Za-z0-9._-]", "", name) or "Component"  # what OpenAPI allows in keys
    yield name
    prefix = ""
    for part in reversed(module.split(".")):
        prefix = re.sub(r"[^A-Za-z0-9]", "", part.title()) + prefix
        yield f"{prefix}{name}"
