"""Coroutines that run beside a body: they end with it, and their failure ends it."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager


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
