"""Call functions in many threads at the same moment."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any


def race(*functions: Callable[[], Any], catch: type[Exception] | tuple[()] = ()) -> list[Any]:
    """Call each function in a thread of its own, all at once; return the results in order.

    An exception of the type `catch` takes the place of the result; any other one is raised.
    """
    barrier = Barrier(len(functions))

    def call(function: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return function()
        except catch as error:
            return error

    with ThreadPoolExecutor(len(functions)) as pool:
        return list(pool.map(call, functions))
