"""The tasks that connections start: in one place, which ends them when it ends."""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Self


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
        """Start a task; outside the block nobody needs it any more, or yet, and it is not begun."""
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
