"""Tasks that last at most as long as their block."""

import asyncio

import pytest

from muster_hub.concurrency import Tasks


async def _never(ended: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("cancelled")


async def test_what_runs_at_the_end_of_the_block_is_cancelled_and_waited_for() -> None:
    ended: list[str] = []
    async with Tasks() as tasks:
        tasks.spawn(_never(ended))
        await asyncio.sleep(0)
    assert ended == ["cancelled"]


async def test_one_that_fails_ends_the_block_and_the_others() -> None:
    ended: list[str] = []

    async def fail() -> None:
        raise LookupError("what happened")

    with pytest.RaisesGroup(LookupError):
        async with Tasks() as tasks:
            tasks.spawn(_never(ended))
            tasks.spawn(fail())
            await asyncio.Event().wait()
    assert ended == ["cancelled"]


async def test_outside_the_block_nothing_is_begun() -> None:
    ended: list[str] = []
    tasks = Tasks()
    tasks.spawn(_never(ended))
    async with tasks:
        pass
    tasks.spawn(_never(ended))
    await asyncio.sleep(0)
    assert not ended
