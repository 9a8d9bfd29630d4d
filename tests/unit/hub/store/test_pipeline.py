"""The machine of one pipeline, fed replies by hand: what is answered, what is refused, what is held."""

import asyncio

import pytest

from muster_hub.store.errors import StoreCause, StoreReplyError, StoreUnavailable
from muster_hub.store.pipeline import Pipeline, StoreCall
from muster_hub.store.scripts import Script
from muster_hub.store.wire import ErrorReply, Reply

ONE = Script.of("one", "#!lua\nreturn 1")
TWO = Script.of("two", "#!lua\nreturn 2")
VOLATILE = Script.of("volatile", "#!lua\n-- Volatile: a test\nreturn 3")
NO_SCRIPT = ErrorReply("NOSCRIPT", "No matching script.")


async def call(script: Script) -> StoreCall:
    return StoreCall(script, b"packed", asyncio.get_running_loop().create_future(), 0.0)


def feed(pipeline: Pipeline, *replies: Reply | ErrorReply) -> None:
    assert len(replies) == pipeline.replies
    for reply in replies:
        pipeline.take(reply)


def refusal(call: StoreCall) -> tuple[StoreCause, bool]:
    error = call.answer.exception()
    assert isinstance(error, StoreUnavailable)
    return error.cause, error.outcome_unknown


async def test_each_reply_answers_its_own_call() -> None:
    calls = [await call(ONE), await call(ONE), await call(TWO)]
    pipeline = Pipeline(calls)
    assert pipeline.chunks == [b"packed"] * 3
    feed(pipeline, 1, 1, 2)
    assert [each.answer.result() for each in calls] == [1, 1, 2]
    assert not pipeline.forgot_scripts


async def test_a_call_whose_script_was_forgotten_is_refused_and_the_others_are_answered() -> None:
    calls = [await call(ONE), await call(TWO), await call(ONE)]
    pipeline = Pipeline(calls)
    feed(pipeline, 1, NO_SCRIPT, 1)
    assert pipeline.forgot_scripts
    assert refusal(calls[1]) == (StoreCause.UNKNOWN_SCRIPT, False)
    assert [calls[0].answer.result(), calls[2].answer.result()] == [1, 1]


async def test_a_lost_pipeline_leaves_the_outcome_of_what_had_no_reply_unknown() -> None:
    calls = [await call(ONE), await call(ONE), await call(ONE)]
    pipeline = Pipeline(calls)
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
    feed(Pipeline([one]), ErrorReply(code, "text"))
    assert refusal(one) == (cause, False)


async def test_any_other_error_names_its_script() -> None:
    one = await call(ONE)
    feed(Pipeline([one]), ErrorReply("WRONGTYPE", "Operation against a key"))
    error = one.answer.exception()
    assert isinstance(error, StoreReplyError)
    assert error.word == "WRONGTYPE"
    assert "one: Operation" in str(error)


async def test_late_calls_are_refused_only_when_the_clock_was_read_again() -> None:
    one = await call(ONE)
    pipeline = Pipeline([one])
    feed(pipeline, ErrorReply("MUSTER", "late"))
    assert pipeline.is_late
    assert not one.answer.done()
    pipeline.refuse_late()
    assert refusal(one) == (StoreCause.LATE, False)


@pytest.mark.parametrize(("replicas", "enough"), [(0, False), (1, False), (2, True), (3, True)])
async def test_durable_replies_are_held_until_the_replicas_have_them(replicas: int, enough: bool) -> None:
    durable, volatile = await call(ONE), await call(VOLATILE)
    pipeline = Pipeline([durable, volatile], store_replicas=2)
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
    pipeline = Pipeline([await call(VOLATILE)], store_replicas=2)
    assert pipeline.replies == 1
