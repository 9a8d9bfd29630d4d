"""Calls to the store: replies, order, scripts that the store forgot, callers that give up."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from muster_hub.store import waiting
from muster_hub.store.adapter import Store
from muster_hub.store.errors import StoreCause, StoreReplyError, StoreUnavailable
from muster_hub.store.scripts import Script
from muster_hub.store.waiting import MAX_PIPELINE_CALLS, MAX_WAITING_CALLS

APPEND = Script.of("append", "#!lua\nredis.call('RPUSH', KEYS[1], ARGV[1])\nreturn redis.call('LLEN', KEYS[1])")
LIST = Script.of("list", "#!lua\nreturn redis.call('LRANGE', KEYS[1], 0, -1)")
NIL = Script.of("nil", "#!lua\nreturn redis.call('GET', KEYS[1])")
REFUSE = Script.of("refuse", "#!lua\nreturn redis.error_reply('MUSTER ' .. ARGV[1])")
LATE = Script.of(
    "late",
    "#!lua\nif redis.call('TIME')[1] * 1000 > tonumber(ARGV[1]) then\nreturn redis.error_reply('MUSTER late')\nend\n"
    "return 1",
    timed=True,
)
SCRIPTS = (APPEND, LIST, NIL, REFUSE, LATE)
FEW_BYTES = 64 * 1024
BROKEN = Script.of("broken", "#!lua\nthis is no Lua")


@pytest_asyncio.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    async with Store.open(store_url, scripts=SCRIPTS) as opened:
        yield opened


def numbers(reply: object) -> list[int]:
    assert isinstance(reply, list)
    return [int(item) for item in reply]


async def test_replies_are_integers_bytes_nil_and_lists(store: Store) -> None:
    assert await store.run(APPEND, [b"{b:01}:l"], [b"\xff\x00"]) == 1
    assert await store.run(APPEND, [b"{b:01}:l"], [7]) == 2
    assert await store.run(APPEND, [b"{b:01}:l"], ["seven"]) == 3
    assert await store.run(LIST, [b"{b:01}:l"]) == [b"\xff\x00", b"7", b"seven"]
    assert await store.run(NIL, [b"{b:01}:none"]) is None


async def test_an_error_reply_of_ours_is_its_word(store: Store) -> None:
    with pytest.raises(StoreReplyError) as caught:
        await store.run(REFUSE, [b"{b:01}:x"], ["full"])
    assert caught.value.word == "full"


async def test_a_script_met_too_late_was_not_carried_out(store: Store) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        await store.run(REFUSE, [b"{b:01}:x"], ["late"])
    assert (caught.value.cause, caught.value.outcome_unknown) == (StoreCause.LATE, False)


async def test_the_store_is_not_used_with_a_script_that_does_not_compile(store_url: str) -> None:
    async with Store.open(store_url, scripts=[BROKEN]) as opened:
        with pytest.raises(StoreUnavailable) as caught:
            await opened.run(BROKEN, [b"{b:01}:x"])
        assert (caught.value.cause, caught.value.outcome_unknown) == (StoreCause.UNKNOWN_SCRIPT, False)
        assert not opened.connected


async def test_the_store_takes_every_script_of_the_hub(store_url: str) -> None:
    async with Store.open(store_url) as opened:
        await opened.reached()
        assert opened.connected


async def test_a_call_without_a_key_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="slot of its first key"):
        await store.run(NIL, [])


async def test_calls_to_one_bucket_are_carried_out_in_the_order_in_which_they_were_made(store: Store) -> None:
    count = MAX_PIPELINE_CALLS * 3
    calls = [store.run(APPEND, [b"{b:%02x}:l" % (n % 8)], [n // 8]) for n in range(count)]
    await asyncio.gather(*calls)
    for bucket in range(8):
        assert numbers(await store.run(LIST, [b"{b:%02x}:l" % bucket])) == list(range(count // 8))


async def test_calls_whose_script_was_flushed_are_refused_as_not_carried_out_and_keep_their_order(
    store: Store, ask, store_url
) -> None:
    rounds, writers, flushes = 60, 8, 5
    done: dict[int, list[int]] = {bucket: [] for bucket in range(writers)}
    refused: list[StoreUnavailable] = []

    async def write(bucket: int, n: int) -> None:
        try:
            await store.run(APPEND, [b"{b:%02x}:l" % bucket], [n])
            done[bucket].append(n)
        except StoreUnavailable as error:
            refused.append(error)

    async def write_all(bucket: int) -> None:
        for n in range(rounds):
            await asyncio.gather(*(write(bucket, n * 4 + part) for part in range(4)))

    for _ in range(flushes):
        await asyncio.gather(*(write_all(bucket) for bucket in range(writers)), ask(store_url, b"SCRIPT", b"FLUSH"))
        for bucket in range(writers):
            assert numbers(await until_read(store, bucket)) == done[bucket], "what was carried out was acknowledged"
            done[bucket].clear()
        await ask(store_url, b"FLUSHALL")
        await ask(store_url, b"SCRIPT", b"FLUSH")
        with pytest.raises(StoreUnavailable):
            await store.run(NIL, [b"{b:01}:x"])
    assert {(error.cause, error.outcome_unknown) for error in refused} <= {(StoreCause.UNKNOWN_SCRIPT, False)}
    assert await until_read(store, 0) == []


async def until_read(store: Store, bucket: int) -> object:
    """Read a list; a first call may find the scripts flushed."""
    try:
        return await store.run(LIST, [b"{b:%02x}:l" % bucket])
    except StoreUnavailable:
        return await store.run(LIST, [b"{b:%02x}:l" % bucket])


async def test_a_cancelled_caller_touches_its_own_call_only(store: Store) -> None:
    await store.now_ms()
    callers = [asyncio.create_task(store.run(APPEND, [b"{b:01}:l"], [n])) for n in range(64)]
    for caller in callers[::2]:
        caller.cancel()  # before it began: never sent
    replies = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(reply) for reply in replies[::2]] == [asyncio.CancelledError] * 32
    assert replies[1::2] == list(range(1, 33))


async def test_a_caller_cancelled_while_its_call_is_on_its_way_does_not_shift_the_replies(store: Store) -> None:
    await store.now_ms()
    answers = [store.begin(APPEND, [b"{b:01}:l"], [n]) for n in range(64)]
    await asyncio.sleep(0)  # the pipeline is taken
    for answer in answers[::2]:
        answer.cancel()
    replies = await asyncio.gather(*answers[1::2])
    # Whether a cancelled call was carried out is open; what each other call got is its own reply.
    listed = numbers(await store.run(LIST, [b"{b:01}:l"]))
    assert [listed[int(reply) - 1] for reply in replies if isinstance(reply, int)] == list(range(1, 64, 2))


async def test_more_calls_than_may_wait_are_refused_as_overload(store: Store, unmeasured: None) -> None:
    await store.now_ms()
    calls = [store.begin(NIL, [b"{b:01}:x"]) for _ in range(MAX_WAITING_CALLS)]
    with pytest.raises(StoreUnavailable) as caught:
        await store.run(NIL, [b"{b:01}:x"])
    assert (caught.value.cause, caught.value.outcome_unknown) == (StoreCause.OVERLOADED, False)
    replies = await asyncio.gather(*calls, return_exceptions=True)
    shed = {(reply.cause, reply.outcome_unknown) for reply in replies if isinstance(reply, StoreUnavailable)}
    assert {reply for reply in replies if not isinstance(reply, StoreUnavailable)} <= {None}
    # On a busy machine a pipeline that was sent may get no reply in time: that alone has an unknown outcome.
    assert shed <= {(StoreCause.SLOW, False), (StoreCause.TIMEOUT, False), (StoreCause.TIMEOUT, True)}


async def test_what_waits_is_bounded_in_bytes_too(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """With few bytes, so that also a busy machine sends them within the time that a call has."""
    monkeypatch.setattr(waiting, "MAX_WAITING_BYTES", FEW_BYTES)
    await store.now_ms()
    large = bytes(FEW_BYTES // 4)
    calls = [store.begin(NIL, [b"{b:01}:x"], [large]) for _ in range(4)]
    with pytest.raises(StoreUnavailable, match="overloaded"):
        await store.run(NIL, [b"{b:01}:x"])
    assert await asyncio.gather(*calls) == [None] * 4
    assert await store.run(NIL, [b"{b:01}:x"]) is None


async def test_calls_end_with_the_store_that_they_were_made_to(store_url: str) -> None:
    async with Store.open(store_url, scripts=SCRIPTS) as opened:
        await opened.now_ms()
        answer = opened.begin(NIL, [b"{b:01}:x"])
    with pytest.raises(StoreUnavailable) as caught:
        await answer
    assert caught.value.cause is StoreCause.CLOSED
    with pytest.raises(StoreUnavailable):
        await opened.run(NIL, [b"{b:01}:x"])


async def test_an_error_of_the_body_comes_out_as_it_is(store_url: str) -> None:
    with pytest.raises(KeyError):
        async with Store.open(store_url):
            raise KeyError


async def test_the_clock_is_the_stores_and_never_ahead_of_it(store: Store, ask, store_url) -> None:
    estimate = await store.now_ms()
    seconds, micros = await ask(store_url, b"TIME")
    assert int(seconds) * 1000 + int(micros) // 1000 >= estimate
    assert await store.not_after_ms() >= estimate + 1000


async def test_a_store_whose_clock_was_set_forward_costs_one_call(store: Store) -> None:
    await store.now_ms()
    store._shard.clock._store_ms -= 3_600_000  # as far behind as after that
    with pytest.raises(StoreUnavailable, match="late"):
        await store.run(LATE, [b"{b:01}:x"])
    assert await store.run(LATE, [b"{b:01}:x"]) == 1
