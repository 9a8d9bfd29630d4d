"""A store that is frozen, dead, full or read-only: refused within a second, and nothing happens later."""

import asyncio
import os
import signal

import pytest

from muster_hub.store.adapter import CALL_TIMEOUT_S, Store
from muster_hub.store.embedded import EmbeddedStore
from muster_hub.store.errors import StoreCause, StoreUnavailable
from muster_hub.store.scripts import Script

KEY = [b"{b:01}:n"]
LATE = """
local time = redis.call('TIME')
if time[1] * 1000 + math.floor(time[2] / 1000) > tonumber(ARGV[1]) then
  return redis.error_reply('MUSTER late')
end
"""
ADD = Script.of("add", "#!lua" + LATE + "return redis.call('INCR', KEYS[1])", timed=True)
RESTRICT = Script.of("restrict", "#!lua flags=allow-oom" + LATE + "return redis.call('INCR', KEYS[1])", timed=True)
BLIND = Script.of("blind", "#!lua\nreturn redis.call('INCR', KEYS[1])")
GET = Script.of("get", "#!lua\nreturn tonumber(redis.call('GET', KEYS[1]) or 0)")
VOLATILE = Script.of("volatile", "#!lua\n-- Volatile: a test\nreturn redis.call('INCR', KEYS[1])")
SCRIPTS = (ADD, RESTRICT, BLIND, GET, VOLATILE)
# A second and what the machine needs to run a timer that is due.
LIMIT_S = CALL_TIMEOUT_S + 0.5


def signalled(embedded: EmbeddedStore, number: signal.Signals) -> None:
    assert embedded.pid
    os.kill(embedded.pid, number)


async def add(store: Store, script: Script = ADD) -> object:
    return await store.run(script, KEY)


async def refused(store: Store) -> StoreUnavailable:
    """The refusal of a call, which has to come in time."""
    async with asyncio.timeout(LIMIT_S):
        with pytest.raises(StoreUnavailable) as caught:
            await add(store)
    return caught.value


async def until_answered(store: Store) -> object:
    """Wait for the store to be back."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await store.run(GET, KEY)
            except StoreUnavailable:
                await asyncio.sleep(0.02)


async def test_a_refused_call_is_not_executed_later(own_store: EmbeddedStore) -> None:
    async with Store.open(own_store.url, scripts=SCRIPTS) as store:
        assert await add(store) == 1
        signalled(own_store, signal.SIGSTOP)
        try:
            blind = store.begin(BLIND, [b"{b:02}:n"])
            on_its_way = await refused(store)
            assert (on_its_way.cause, on_its_way.outcome_unknown) == (StoreCause.TIMEOUT, True)
            with pytest.raises(StoreUnavailable):
                await blind
            both = await asyncio.gather(refused(store), refused(store))
            assert not any(refusal.outcome_unknown for refusal in both), "these never left"
        finally:
            signalled(own_store, signal.SIGCONT)
        assert await until_answered(store) == 1, "the call that timed out was refused by its not_after"
        assert await add(store) == 2
        assert await store.run(GET, [b"{b:02}:n"]) == 1, "what has no not_after is carried out: the control"


async def test_calls_made_behind_one_that_hangs_are_refused_within_their_own_second(own_store: EmbeddedStore) -> None:
    async with Store.open(own_store.url, scripts=SCRIPTS) as store:
        await add(store)
        signalled(own_store, signal.SIGSTOP)
        try:
            first = asyncio.create_task(refused(store))
            await asyncio.sleep(0.3)
            rest = await asyncio.gather(*(refused(store) for _ in range(20)))
            await first
        finally:
            signalled(own_store, signal.SIGCONT)
        assert {refusal.outcome_unknown for refusal in rest} == {False}
        assert await until_answered(store) == 1


async def test_a_killed_store_is_started_again_and_found_again(own_store: EmbeddedStore, eventually) -> None:
    async with Store.open(own_store.url, scripts=SCRIPTS) as store:
        assert await add(store) == 1
        killed = own_store.pid
        signalled(own_store, signal.SIGKILL)
        assert await until_answered(store) == 1, "what was acknowledged is still there"
        await eventually(lambda: own_store.pid not in (None, killed))
        assert await add(store) == 2


async def test_calls_to_a_store_that_is_not_there_fail_fast(tmp_path) -> None:
    async with Store.open(f"unix://{tmp_path}/nothing.sock") as store:
        with pytest.raises(StoreUnavailable):
            await store.run(GET, KEY)
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        for _ in range(5):
            with pytest.raises(StoreUnavailable) as caught:
                await store.run(GET, KEY)
            assert (caught.value.cause, caught.value.outcome_unknown) == (StoreCause.AWAY, False)
        assert loop.time() - started_s < CALL_TIMEOUT_S
        assert not store.connected


async def test_a_replica_refuses_writes(own_store: EmbeddedStore, ask) -> None:
    async with Store.open(own_store.url, scripts=SCRIPTS) as store:
        await add(store)
        await ask(own_store.url, b"REPLICAOF", b"127.0.0.1", b"1")
        refusal = await refused(store)
        assert (refusal.cause, refusal.outcome_unknown) == (StoreCause.READ_ONLY, False)
        await ask(own_store.url, b"REPLICAOF", b"NO", b"ONE")
        assert await add(store) == 2


async def test_a_full_store_still_takes_what_restricts(own_store: EmbeddedStore, ask) -> None:
    async with Store.open(own_store.url, scripts=SCRIPTS) as store:
        await add(store)
        await ask(own_store.url, b"CONFIG", b"SET", b"maxmemory", b"1")
        refusal = await refused(store)
        assert (refusal.cause, refusal.outcome_unknown) == (StoreCause.MEMORY_FULL, False)
        assert await add(store, RESTRICT) == 2


async def test_a_connection_that_was_closed_while_idle_costs_no_call(own_store: EmbeddedStore, ask) -> None:
    async with Store.open(own_store.url, scripts=SCRIPTS) as store:
        for expected in range(1, 6):
            assert await add(store) == expected
            await ask(own_store.url, b"CLIENT", b"KILL", b"TYPE", b"normal", b"SKIPME", b"yes")


async def test_a_lost_connection_leaves_the_outcome_unknown(own_store: EmbeddedStore, eventually) -> None:
    async with Store.open(own_store.url, scripts=SCRIPTS) as store:
        await add(store)
        signalled(own_store, signal.SIGSTOP)
        on_its_way = store.begin(BLIND, KEY)
        await eventually(lambda: not store._shard._waiting)
        signalled(own_store, signal.SIGKILL)
        with pytest.raises(StoreUnavailable) as caught:
            await on_its_way
        assert (caught.value.cause, caught.value.outcome_unknown) == (StoreCause.LOST, True)
        assert await until_answered(store) in (1, 2)


async def test_nothing_durable_is_acknowledged_before_enough_replicas_have_it(own_store: EmbeddedStore, ask) -> None:
    async with Store.open(own_store.url, store_replicas=1, scripts=SCRIPTS) as store:
        refusal = await refused(store)
        assert (refusal.cause, refusal.outcome_unknown) == (StoreCause.REPLICAS, True)
        assert await store.run(VOLATILE, KEY) == 2
        both = await asyncio.gather(add(store), store.run(VOLATILE, KEY), return_exceptions=True)
        assert isinstance(both[0], StoreUnavailable)
        assert both[1] == 4


async def test_with_a_replica_it_is_acknowledged(
    own_store: EmbeddedStore, ask, eventually, tmp_path, unused_tcp_port: int
) -> None:
    async def is_online() -> bool:
        return b"state=online" in await ask(own_store.url, b"INFO", b"replication")

    await ask(own_store.url, b"CONFIG", b"SET", b"port", unused_tcp_port, b"repl-diskless-sync", b"no")
    async with (
        EmbeddedStore(tmp_path) as replica,
        Store.open(own_store.url, store_replicas=1, scripts=SCRIPTS) as store,
    ):
        await ask(replica.url, b"REPLICAOF", b"127.0.0.1", unused_tcp_port)
        await eventually(is_online)
        assert await add(store) == 1
        assert await ask(replica.url, b"GET", KEY[0]) == b"1"
