"""Tasks that end with a block, and whose errors are raised from it without a group around them."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

from muster_protocol.errors import MusterError

_USUAL = (MusterError, OSError)
"""Errors raised when the other side is gone; a timeout is an ``OSError`` too."""


class Companions:
    """A task group whose tasks are cancelled when its block ends."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = False

    def start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run ``work`` beside the block; its error ends the block. After the end of the block nothing is run."""
        task = self._group.create_task(work)
        if self._ending:
            task.cancel()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def cancel(self) -> None:
        """Cancel the tasks that still run."""
        self._ending = True
        for task in self._tasks:
            task.cancel()


@asynccontextmanager
async def companions() -> AsyncIterator[Companions]:
    """Open a block with tasks beside it, and raise their error without an exception group.

    When a connection is lost, several of its users fail at once: the first of these errors is raised, with the group
    as its cause. An error of any other kind takes precedence.
    """
    try:
        async with asyncio.TaskGroup() as group:
            beside = Companions(group)
            try:
                yield beside
            finally:
                beside.cancel()
    except BaseExceptionGroup as errors:
        if len(errors.exceptions) == 1:
            raise errors.exceptions[0] from None
        first = next((error for error in errors.exceptions if not isinstance(error, _USUAL)), errors.exceptions[0])
        raise first from errors
