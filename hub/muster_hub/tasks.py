"""The tasks that connections start: in one group, which ends them when it ends."""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Self


class Tasks:
    """Tasks that last at most as long as the ``async with`` block; one that fails ends the block."""

    __slots__ = ("_group", "_open", "_running")

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self._open = False
        self._running: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        for task in self._running:
            task.cancel()
        await self._group.__aexit__(kind, error, trace)

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Start a task; outside the block nobody needs it any more, or yet, and it is not begun."""
        if not self._open:
            work.close()
            return
        task = self._group.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
