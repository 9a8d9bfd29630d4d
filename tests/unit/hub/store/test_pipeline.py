"""The machine of one pipeline, fed replies by hand: what is sent again, what is refused, what is held."""

import asyncio

import pytest

from muster_hub.store.errors import StoreCause, StoreReplyError, StoreUnavailable
from muster_hub.store.pipeline import MAX_RELOADS, Pipeline, StoreCall
from muster_hub.store.scripts import Script
from muster_hub.store.wire import ErrorReply, Reply

ONE = Script.of("one", "#!lua\nreturn 1")
TWO = Script.of("two", "#!lua\nreturn 2")
VOLATILE = Script.of("volatile", "#!lua\n-- Volatile: a test\nreturn 3")
NO_SCRIPT = ErrorReply("NOSCRIPT", "No matching script.")


async def call(script: Script, tag: bytes = b"b:01") -> StoreCall:
    return StoreCall(script, tag, b"packed", asyncio.get_running_loop().create_future(), 0.0)


def feed(pipeline: Pipeline, *replies: Reply | ErrorReply) -> None:
    assert len(replies) == pipeline.replies
    for reply in replies:
        pipeline.take(reply)


def refusal(call: StoreCall) -> tuple[StoreCause, bool]:
    error = call.answer.exception()
    assert isinstance(error, StoreUnavailable)
    return error.cause, error.outcome_unknown


async def test_a_script_is_loaded_before_its_first_call_on_a_connection() -> None:
    known: set[bytes] = set()
    calls = [await call(ONE), await call(ONE), await call(TWO)]
    pipeline = Pipeline(calls, known)
    assert b"LOAD" in pipeline.chunks[0]
    assert b"LOAD" in pipeline.chunks[3]
    feed(pipeline, ONE.sha1, 1, 1, TWO.sha1, 2)
    assert [each.answer.result() for each in calls] == [1, 1, 2]
    assert Pipeline([await call(ONE)], known).chunks == [b"packed"]


async def test_unknown_scripts_go_again_in_the_order_of_the_calls() -> None:
    known = {ONE.sha1, TWO.sha1}
    calls = [await call(ONE, b"x"), await call(TWO, b"y"), await call(TWO, b"x"), await call(ONE, b"z")]
    pipeline = Pipeline(calls, known)
    feed(pipeline, NO_SCRIPT, NO_SCRIPT, NO_SCRIPT, 1)
    assert pipeline.again() == calls[:3]
    assert known == set()
    assert not any(each.answer.done() for each in calls[:3])


async def test_a_call_that_a_later_one_of_its_bucket_overtook_is_refused_and_not_sent_again() -> None:
    calls = [await call(ONE, b"x"), await call(ONE, b"y"), await call(TWO, b"x")]
    pipeline = Pipeline(calls, {ONE.sha1, TWO.sha1})
    feed(pipeline, NO_SCRIPT, NO_SCRIPT, 2)
    assert refusal(calls[0]) == (StoreCause.UNKNOWN_SCRIPT, False)
    assert pipeline.again() == [calls[1]]
    assert calls[2].answer.result() == 2


async def test_a_call_whose_script_is_never_there_is_refused() -> None:
    one = await call(ONE)
    for _ in range(MAX_RELOADS):
        pipeline = Pipeline([one], set())
        feed(pipeline, ONE.sha1, NO_SCRIPT)
        assert pipeline.again() == [one]
    feed(Pipeline([one], set()), ONE.sha1, NO_SCRIPT)
    assert refusal(one) == (StoreCause.UNKNOWN_SCRIPT, False)


async def test_a_lost_pipeline_leaves_the_outcome_of_what_had_no_reply_unknown() -> None:
    calls = [await call(ONE), await call(ONE), await call(ONE)]
    pipeline = Pipeline(calls, {ONE.sha1})
    pipeline.take(1)
    calls[1].answer.cancel()
    pipeline.lose(StoreCause.LOST)
    assert calls[0].answer.result() == 1
    assert refusal(calls[2]) == (StoreCause.LOST, True)


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("OOM", StoreCause.MEMORY_FULL),
        ("READONLY", StoreCause.READ_ONLY),
        ("LOADING", StoreCause.LOADING),
        ("MASTERDOWN", StoreCause.MASTER_DOWN),
        ("CLUSTERDOWN", StoreCause.CLUSTER_DOWN),
        ("MISCONF", StoreCause.DISK_FULL),
    ],
)
async def test_a_store_that_cannot_serve_is_unavailable_and_did_nothing(code: str, cause: StoreCause) -> None:
    one = await call(ONE)
    feed(Pipeline([one], {ONE.sha1}), ErrorReply(code, "text"))
    assert refusal(one) == (cause, False)


async def test_any_other_error_names_its_script() -> None:
    one = await call(ONE)
    feed(Pipeline([one], {ONE.sha1}), ErrorReply("WRONGTYPE", "Operation against a key"))
    error = one.answer.exception()
    assert isinstance(error, StoreReplyError)
    assert error.word == "WRONGTYPE"
    assert "one: Operation" in str(error)


async def test_late_calls_are_refused_only_when_the_clock_was_read_again() -> None:
    one = await call(ONE)
    pipeline = Pipeline([one], {ONE.sha1})
    feed(pipeline, ErrorReply("MUSTER", "late"))
    assert pipeline.is_late
    assert not one.answer.done()
    pipeline.refuse_late()
    assert refusal(one) == (StoreCause.LATE, False)


@pytest.mark.parametrize(("replicas", "enough"), [(0, False), (1, False), (2, True), (3, True)])
async def test_durable_replies_are_held_until_the_replicas_have_them(replicas: int, enough: bool) -> None:
    durable, volatile = await call(ONE), await call(VOLATILE)
    pipeline = Pipeline([durable, volatile], {ONE.sha1, VOLATILE.sha1}, store_replicas=2)
    pipeline.take(1)
    pipeline.take(3)
    assert volatile.answer.result() == 3
    assert not durable.answer.done()
    pipeline.take(replicas)
    if enough:
        assert durable.answer.result() == 1
    else:
        assert refusal(durable) == (StoreCause.REPLICAS, True)


async def test_what_is_volatile_waits_for_no_replica() -> None:
    pipeline = Pipeline([await call(VOLATILE)], {VOLATILE.sha1}, store_replicas=2)
    assert pipeline.replies == 1
