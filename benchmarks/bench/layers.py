"""Which layer the time of a profile belongs to."""

import cProfile
import pstats
from collections import Counter
from itertools import takewhile

OF_BUILTINS = {  # what is written in C has no file: a part of its name, and its layer
    "sqlite3": "SQLite",
    "psycopg": "PostgreSQL",
    "orjson": "orjson",
    "argon2": "Argon2",
    "_cffi": "Argon2",
    "_rust": "cryptography",
    "openssl": "cryptography",
    "hmac": "cryptography",
}
Function = tuple[str, int, str]  # file, line and name, as pstats has it


def layer_of(function: Function) -> str | None:
    """Return the layer of a function; None for one in C that belongs to its caller."""
    file, _, name = function
    if file == "~":
        return next((layer for part, layer in OF_BUILTINS.items() if part in name), None)
    for root in ("/site-packages/", "/src/"):
        _, found, inside = file.rpartition(root)
        if found:
            package, *rest = (part.removesuffix(".py") for part in inside.split("/"))
            return f"itemsapi.{rest[0]}" if package == "itemsapi" else package
    return "benchmark" if "/benchmarks/" in file else "standard library"


def layer_shares(profile: cProfile.Profile) -> dict[str, float]:
    """Return each layer's share of the time of a profile, the largest first."""
    seconds: Counter[str] = Counter()
    for function, (_, _, own, _, callers) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        layer = layer_of(function)
        if layer is not None:
            seconds[layer] += own
            continue
        for caller, (_, _, spent, _) in callers.items():
            seconds[layer_of(caller) or "standard library"] += spent
    del seconds["benchmark"]
    total = seconds.total()
    return {layer: own / total for layer, own in seconds.most_common()}


def slowest(profile: cProfile.Profile, count: int) -> list[tuple[str, float]]:
    """Return the functions with the most time of their own, and their share of all."""
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    total = sum(own for _, _, own, _, _ in stats.values())
    ranked = sorted(stats.items(), key=lambda item: -item[1][2])[:count]
    return [(_short(function), own / total) for function, (_, _, own, _, _) in ranked]


def _short(function: Function) -> str:
    file, line, name = function
    if file == "~":
        return name
    tail = [*takewhile(lambda part: part not in {"src", "site-packages"}, file.split("/")[::-1])]
    return f"{'/'.join(tail[::-1])}:{line} {name}"
