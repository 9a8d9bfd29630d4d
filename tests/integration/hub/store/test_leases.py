"""Leases on a real store: who begins, who gets a tombstone, who is replaced."""

import asyncio
from itertools import count

import pytest

from muster_hub.store.adapter import Store
from muster_hub.store.errors import StoreReplyError, StoreUnavailable
from muster_hub.store.keys import LEASES, MAX_NODES
from muster_hub.store.lease_keeper import LeaseKeeper, NodeReplacedError
from muster_hub.store.leases import LOST_AFTER_S, NodeLost, Renewed
from muster_hub.store.scripts import script
from muster_hub.store.steps import attempt


class ReportingKeeper:
    """A keeper and what it reported."""

    def __init__(self, store: Store, name: str, prefix: str = "i") -> None:
        serial = count(1)
        self.seen: list[NodeLost | Renewed] = []
        self.changed = asyncio.Event()
        self.keeper = LeaseKeeper(store, name, lambda: f"{prefix}{next(serial)}")

    async def renew(self) -> None:
        await self.keeper.renew(self)

    def lease_changed(self, change: NodeLost | Renewed) -> None:
        self.seen.append(change)
        self.changed.set()


async def tombstone(store: Store, node: str, incarnation: str, counter: int) -> object:
    return await attempt(store, script("tombstone"), [LEASES], node, incarnation, counter)


async def test_a_node_begins_and_sees_the_others(store: Store) -> None:
    a, b = ReportingKeeper(store, "a"), ReportingKeeper(store, "b")
    assert not a.keeper.acting()
    await a.renew()
    await b.renew()
    await a.renew()
    assert a.seen == [Renewed("i1")]
    assert a.keeper.acting()
    assert a.keeper.live("b", "i1")
    assert not a.keeper.live("b", "i2")
    assert a.keeper.table.live_nodes() == ["a", "b"]


async def test_a_node_whose_lease_was_ended_begins_again_and_the_others_learn_of_it(store: Store) -> None:
    a, b = ReportingKeeper(store, "a"), ReportingKeeper(store, "b")
    await a.renew()
    await b.renew()
    assert await tombstone(store, "a", "i1", 1) == 1
    assert await tombstone(store, "a", "i1", 1) == 1, "a repeat has the same answer"
    await b.renew()
    assert b.seen == [Renewed("i1"), NodeLost("a", "i1")]
    assert not b.keeper.live("a", "i1")
    await a.renew()
    assert a.keeper.incarnation == "i2"
    assert a.seen == [Renewed("i1"), Renewed("i2"), NodeLost("a", "i1")]
    await b.renew()
    assert b.keeper.live("a", "i2")


async def test_a_counter_that_moved_saves_its_node(store: Store) -> None:
    a = ReportingKeeper(store, "a")
    await a.renew()
    await a.renew()
    assert await tombstone(store, "a", "i1", 1) == 0
    assert await tombstone(store, "a", "i0", 2) == 0
    assert await tombstone(store, "unknown", "i0", 2) == 0
    await a.renew()
    assert a.seen == [Renewed("i1")]


async def test_a_node_that_leaves_is_lost_at_once(store: Store) -> None:
    a, b = ReportingKeeper(store, "a"), ReportingKeeper(store, "b")
    await a.renew()
    await b.renew()
    await a.keeper.leave()
    await b.renew()
    assert NodeLost("a", "i1") in b.seen


async def test_a_second_process_of_one_name_replaces_the_first(store: Store) -> None:
    first, second = ReportingKeeper(store, "a", "x"), ReportingKeeper(store, "a", "y")
    await first.renew()
    await second.renew()
    with pytest.raises(NodeReplacedError, match="node name a"):
        await first.renew()


async def test_tombstones_older_than_a_day_are_deleted(store: Store, ask, store_url) -> None:
    now_ms = await store.now_ms()
    day_ms = 86_400_000
    await ask(store_url, b"HSET", LEASES, b"old", b"i1 7 %d" % (now_ms - day_ms - 1000))
    await ask(store_url, b"HSET", LEASES, b"young", b"i1 7 %d" % (now_ms - day_ms + 60_000))
    a = ReportingKeeper(store, "a")
    await a.renew()
    await a.renew()
    assert sorted(await ask(store_url, b"HKEYS", LEASES)) == [b"a", b"young"]
    assert not a.keeper.live("young", "i1")


async def test_a_lease_after_its_time_is_not_raised(store: Store, ask, store_url) -> None:
    before_ms = await store.now_ms() - 1000
    with pytest.raises(StoreUnavailable, match="late"):
        await store.run(script("lease"), [LEASES], ["a", "i1", 1, "begin"], not_after_ms=before_ms)
    with pytest.raises(StoreUnavailable, match="late"):
        await store.run(script("tombstone"), [LEASES], ["a", "i1", 1], not_after_ms=before_ms)
    assert await ask(store_url, b"EXISTS", LEASES) == 0


async def test_there_is_a_limit_to_nodes(store: Store, ask, store_url) -> None:
    for n in range(MAX_NODES):
        await attempt(store, script("lease"), [LEASES], f"n{n}", "i", 1, "begin")
    with pytest.raises(StoreReplyError, match="too_many_nodes"):
        await ReportingKeeper(store, "one-more").renew()


async def test_a_dead_node_is_noticed(store: Store) -> None:
    a, b = ReportingKeeper(store, "a"), ReportingKeeper(store, "b")
    await a.renew()
    running = asyncio.create_task(b.keeper.run(b))
    try:
        async with asyncio.timeout(LOST_AFTER_S * 6):
            while NodeLost("a", "i1") not in b.seen:
                b.changed.clear()
                await b.changed.wait()
    finally:
        running.cancel()
        await asyncio.wait({running})
    assert b.keeper.acting()
    assert not b.keeper.live("a", "i1")


async def test_words_that_a_newer_node_appends_to_a_lease_are_ignored_and_kept(
    store: Store, ask, store_url: str
) -> None:
    await ask(store_url, b"HSET", LEASES, b"newer", b"i1 7 0 and more")
    a = ReportingKeeper(store, "a")
    await a.renew()
    assert a.keeper.live("newer", "i1")
    assert await tombstone(store, "newer", "i1", 7) == 1
    assert b"and more" in await ask(store_url, b"HGET", LEASES, b"newer")
    await a.renew()
    assert not a.keeper.live("newer", "i1")
