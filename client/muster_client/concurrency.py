"""Tasks that live as long as a block: none survives it, and errors come out as themselves."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

from muster_protocol.errors import MusterError

_USUAL = (MusterError, OSError)
"""What is raised where the other side is gone; a time that ran out is an ``OSError`` too."""


class Companions:
    """A task group whose tasks are cancelled when its block ends."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = False

    def start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run ``work`` beside the block; its error ends the block. Once the block has ended, nothing runs any more."""
        task = self._group.create_task(work)
        if self._ending:
            task.cancel()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def cancel(self) -> None:
        """Cancel all that still runs."""
        self._ending = True
        for task in self._tasks:
            task.cancel()


@asynccontextmanager
async def companions() -> AsyncIterator[Companions]:
    """Open a block with tasks beside it, whose error comes out bare.

    When a connection goes, several that use it fail at once, each for that reason: the first of them comes out, with
    the others as its cause. Any error that is not of that kind comes before them.
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
