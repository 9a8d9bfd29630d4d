"""Several calls at once, as one step: all end before it does, and the first that failed is what it raises."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def together(*calls: Coroutine[Any, Any, T]) -> list[T]:
    """Carry out the calls side by side and return what they return, in their order.

    Unlike a task group it raises the first failure bare, so that callers catch it by its type; unlike ``gather`` it
    leaves no call running behind.
    """
    if len(calls) == 1:
        return [await calls[0]]  # one needs no task of its own
    results: list[T] = []
    failed: BaseException | None = None
    for result in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(result, BaseException):
            failed = failed or result
        else:
            results.append(result)
    if failed is not None:
        raise failed
    return results
