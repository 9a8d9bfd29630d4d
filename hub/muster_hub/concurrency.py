"""Concurrency: calls awaited together, coroutines beside a body, and the tasks of connections."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


async def together(*calls: Coroutine[Any, Any, T]) -> list[T]:
    """Await the calls together and return their results, in their order.

    Unlike a task group it raises the first failure bare, so that callers catch it by its type; unlike ``gather`` it
    leaves no call running behind.
    """
    if len(calls) == 1:
        return [await calls[0]]  # a single call needs no task
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


@asynccontextmanager
async def alongside(*coroutines: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run coroutines while the body runs and cancel them after it.

    A coroutine that fails cancels the body and its error comes out in an ExceptionGroup, as from a TaskGroup. The
    body's own exception comes out as it is, so that callers can catch it by its type.
    """
    raised: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
            try:
                yield
            except BaseException as error:
                raised = error
                raise
            finally:
                for task in tasks:
                    task.cancel()
    except BaseExceptionGroup as failures:
        if raised is not None and failures.exceptions == (raised,):
            raise raised from raised.__cause__
        raise


class Tasks:
    """Tasks that last at most as long as the ``async with`` block; one that fails ends the block.

    A task group would do the same; but one starts for almost every message, and this is half of what that one costs.
    """

    __slots__ = ("_failed", "_group", "_loop", "_running", "_watch")

    _loop: asyncio.AbstractEventLoop
    _failed: asyncio.Future[None]
    _watch: asyncio.Task[None]

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self._running: set[asyncio.Task[None]] | None = None

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._loop = asyncio.get_running_loop()
        self._failed = self._loop.create_future()
        self._watch = self._group.create_task(self._wait_for_failure())
        self._running = set()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        running, self._running = self._running or set(), None
        for task in running:
            task.cancel()
        try:
            if running:
                await asyncio.wait(running)
        finally:
            if not self._failed.done():
                self._watch.cancel()
            await self._group.__aexit__(kind, error, trace)

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Start a task; outside the block it is not started, since nothing needs its result."""
        if self._running is None:
            work.close()
            return
        task = self._loop.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._running is not None:
            self._running.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._failed.done():
            self._failed.set_exception(error)

    async def _wait_for_failure(self) -> None:
        await self._failed
