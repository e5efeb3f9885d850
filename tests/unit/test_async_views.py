"""Which functions of an application are awaited."""

import inspect
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from itemsapi.rest.async_views import Application


def plain() -> str:
    """Return a word."""
    return "done"


async def asynchronous(word: str = "done") -> str:
    """Return a word later."""
    return word


class Views:
    """Views that are methods."""

    async def show(self) -> str:
        """Return a word later."""
        return "done"


def test_a_plain_function_is_called_as_it_is() -> None:
    """Nothing is put around it."""
    assert Application("shop").ensure_sync(plain) is plain


@pytest.mark.parametrize(
    "view",
    [asynchronous, partial(asynchronous, "done"), Views().show],
    ids=["function", "partial", "method"],
)
def test_what_is_asynchronous_is_awaited(view: Callable[[], Any]) -> None:
    """Each kind of callable that Flask awaits."""
    assert Application("shop").ensure_sync(view)() == "done"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="functions have no mark before Python 3.12")
def test_a_function_that_is_marked_as_asynchronous_is_awaited() -> None:
    """A decorator that is written in another way may mark what it returns."""

    def marked() -> Any:
        return asynchronous()

    view = vars(inspect)["markcoroutinefunction"](marked)  # unknown to the types of 3.11
    assert Application("shop").ensure_sync(view)() == "done"
