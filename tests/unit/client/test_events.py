"""Events for several readers, one of them slow."""

import asyncio
import gc

from muster_client.events import MAX_UNREAD_EVENTS, Broadcast, Missed


async def test_each_reader_gets_what_comes_after_it_began() -> None:
    source: Broadcast[int] = Broadcast()
    early = source.listen()
    source.tell(1)
    late = source.listen()
    source.tell(2)
    source.end()
    assert [event async for event in early] == [1, 2]
    assert [event async for event in late] == [2]
    assert [event async for event in source.listen()] == []


async def test_a_reader_that_waits_is_woken() -> None:
    source: Broadcast[int] = Broadcast()
    reader = source.listen()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(anext(reader))
        await asyncio.sleep(0)
        source.tell(7)
    assert waiting.result() == 7


async def test_a_slow_reader_is_told_what_it_missed() -> None:
    source: Broadcast[int] = Broadcast()
    reader = source.listen()
    for number in range(MAX_UNREAD_EVENTS + 3):
        source.tell(number)
    source.end()
    heard = [event async for event in reader]
    assert heard[0] == Missed(count=3)
    assert heard[1:] == list(range(3, MAX_UNREAD_EVENTS + 3))


async def test_a_reader_without_a_reference_is_forgotten() -> None:
    source: Broadcast[int] = Broadcast()
    reader = source.listen()
    assert len(source._readers) == 1
    del reader
    gc.collect()
    assert len(source._readers) == 0
