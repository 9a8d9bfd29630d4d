"""Several calls at once, as one step: all end before it does, and the first that failed is what it raises."""

import asyncio
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from typing import Any, TypeVar

from muster_hub.store.errors import StoreError

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


async def all_of(started: Iterable[asyncio.Future[T]]) -> list[T]:
    """Start the calls to the store that ``started`` gives, and return their replies in order; none needs a task."""
    calls: list[asyncio.Future[T]] = []
    try:
        calls.extend(started)
        for call in calls:
            with suppress(StoreError):
                await call
        return [call.result() for call in calls]
    finally:
        # Where one could not be started, or nobody waits any more, what became of the others is nobody's either.
        for call in calls:
            if not call.cancel() and not call.cancelled():
                call.exception()
