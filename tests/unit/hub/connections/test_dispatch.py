"""From the bytes of a request to exactly one reply, for anything that the use case does."""

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs
from tests.integration.hub.device import SigningDevice

from muster_hub.config.settings import Settings
from muster_hub.connections.dispatch import STORE_RETRY_AFTER_MS, Dispatch, UseCase
from muster_hub.context import NodeContext, WallClock
from muster_hub.node.bus_link import BusLink
from muster_hub.presence.record import AgentLocations
from muster_hub.presence.watches import PresenceWatches
from muster_hub.rate_limits.costs import arrival_cost, cost
from muster_hub.rate_limits.spending import Spending
from muster_hub.rate_limits.token_bucket import Rate
from muster_hub.routing.caller import Caller
from muster_hub.routing.router import Router
from muster_hub.store.adapter import Store
from muster_hub.store.errors import StoreCause, StoreUnavailable
from muster_hub.store.urls import Address
from muster_protocol.cards import verify_card
from muster_protocol.connect import Role
from muster_protocol.errors import Refused
from muster_protocol.frames import (
    MAX_WATCHED,
    Ack,
    Error,
    ListSessions,
    Ok,
    PresencePush,
    PresenceReply,
    PresenceState,
    Reply,
    Request,
    Who,
    encode_frame,
)
from muster_protocol.ids import ClientId, InstanceId
from muster_protocol.reasons import Reason

ANN = ClientId("a" * 32)
REQUEST = encode_frame(ListSessions(id=7))


class UnusedNodes:
    """A node that is never asked about others."""

    node = "one"
    incarnation = "incarnation"

    def live(self, node: str, incarnation: str) -> bool:
        raise AssertionError

    def live_nodes(self) -> list[str]:
        raise AssertionError

    def acting(self) -> bool:
        raise AssertionError

    async def until_acting(self) -> bool:
        return self.acting()


@pytest.fixture
def caller() -> Caller:
    device = SigningDevice()
    card = verify_card(device.card())
    return Caller(
        client=device.client,
        fingerprint=device.fingerprint,
        fingerprints=card.fingerprints,
        connection=1,
        role=Role.AGENT,
        instance=InstanceId(os.urandom(16)),
        card=card,
        token_counter=0,
    )


@pytest_asyncio.fixture
async def context(caller: Caller) -> NodeContext:
    store = Store(Address("unix", "", 0, "unused", 0, None, None))
    return NodeContext(
        store=store,
        router=Router("one", BusLink(), AgentLocations(store), PresenceWatches()),
        nodes=UnusedNodes(),
        clock=WallClock(),
        settings=Settings(data_dir=Path("unused")),
        key=SigningDevice().key,
    )


def serving(context: NodeContext, use_case: UseCase, rate: Rate | None = None) -> Dispatch:
    """Return a dispatch that serves ``ListSessions`` alone."""
    table: dict[type[Request], UseCase] = {ListSessions: use_case, Who: use_case}
    if rate is not None:
        context = replace(context, spending=Spending(rate))
    return Dispatch(context, table, PresenceWatches())


async def answered(dispatch: Dispatch, caller: Caller, data: bytes) -> Reply:
    """Answer a message that was paid as it arrived, as a connection does."""
    await dispatch._context.spending.arrive(caller.payer, arrival_cost(len(data)), lambda: True)
    return await dispatch.answer(caller, data)


def raising(error: Exception) -> UseCase:
    async def use_case(context: NodeContext, caller: Caller, request: Any) -> Ok:
        raise error

    return use_case


async def ok(context: NodeContext, caller: Caller, request: Any) -> Ok:
    return Ok(re=request.id)


async def test_a_request_goes_to_its_use_case_with_its_caller(context: NodeContext, caller: Caller) -> None:
    seen: list[object] = []

    async def use_case(context: NodeContext, caller: Caller, request: Any) -> Ok:
        seen.extend((context, caller, request))
        return Ok(re=request.id)

    assert await serving(context, use_case).answer(caller, REQUEST) == Ok(re=7)
    assert seen == [context, caller, ListSessions(id=7)]


@pytest.mark.parametrize(
    ("raised", "reply"),
    [
        (
            Refused(Reason.NOT_A_MEMBER, "which says why"),
            Error(re=7, reason=Reason.NOT_A_MEMBER, detail="which says why"),
        ),
        (
            StoreUnavailable(StoreCause.TIMEOUT, outcome_unknown=True),
            Error(re=7, reason=Reason.STORE_UNAVAILABLE, retry_after_ms=STORE_RETRY_AFTER_MS),
        ),
        (KeyError("a fault of the program"), Error(re=7, reason=Reason.INTERNAL)),
        (RecursionError(), Error(re=7, reason=Reason.INTERNAL)),
    ],
)
async def test_whatever_a_use_case_raises_is_one_reply(
    context: NodeContext, caller: Caller, raised: Exception, reply: Error
) -> None:
    assert await serving(context, raising(raised)).answer(caller, REQUEST) == reply


async def test_only_a_fault_of_the_program_is_logged_as_a_failed_request(context: NodeContext, caller: Caller) -> None:
    with capture_logs() as logs:
        for raised in (Refused(Reason.NOT_A_MEMBER), StoreUnavailable(StoreCause.LOST, outcome_unknown=False)):
            await serving(context, raising(raised)).answer(caller, REQUEST)
        assert "request_failed" not in {line["event"] for line in logs}
        await serving(context, raising(KeyError())).answer(caller, REQUEST)
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["request_failed"]


@pytest.mark.parametrize(
    ("data", "number", "reason"),
    [
        (encode_frame(Ack(id=8, pushes=("a",))), 8, Reason.UNSUPPORTED),  # a request that no use case serves
        (encode_frame(PresencePush(devices=())), 0, Reason.UNSUPPORTED),  # no request at all
        (b"", 0, Reason.MALFORMED),
        (b"\xc1", 0, Reason.MALFORMED),
        (b"\x82\xa1t\xa8sessions\xa2id\x09", 9, Reason.MALFORMED),
        (b"\x91\x01", 0, Reason.MALFORMED),
    ],
)
async def test_what_cannot_be_read_is_refused_with_the_number_that_can(
    context: NodeContext, caller: Caller, data: bytes, number: int, reason: Reason
) -> None:
    dispatch = serving(context, raising(AssertionError()))
    for reply in (await dispatch.answer(caller, data), dispatch.answer_without_store(caller, data)):
        assert isinstance(reply, Error)
        assert (reply.re, reply.reason) == (number, reason)


async def test_a_device_that_asks_too_much_is_told_when_to_ask_again(context: NodeContext, caller: Caller) -> None:
    dispatch = serving(context, ok, Rate(per_s=0.001, burst=1))
    assert await answered(dispatch, caller, REQUEST) == Ok(re=7)
    reply = await answered(dispatch, caller, REQUEST)
    assert isinstance(reply, Error)
    assert (reply.re, reply.reason) == (7, Reason.RATE_LIMITED)
    assert reply.retry_after_ms


async def test_a_long_request_that_comes_back_at_its_time_is_served(
    context: NodeContext, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = SimpleNamespace(s=0.0)
    monkeypatch.setattr("muster_hub.context.time.monotonic", lambda: now.s)
    long = encode_frame(Who(id=7, clients=tuple(SigningDevice().client for _ in range(MAX_WATCHED))))
    price = arrival_cost(len(long)) + cost(Who(id=7, clients=(ANN,) * MAX_WATCHED))
    dispatch = serving(context, ok, Rate(per_s=10, burst=price))
    assert await answered(dispatch, caller, long) == Ok(re=7)
    refused = await answered(dispatch, caller, long)
    assert isinstance(refused, Error)
    assert refused.retry_after_ms
    now.s += refused.retry_after_ms / 1000
    assert await answered(dispatch, caller, long) == Ok(re=7)


async def test_without_a_store_only_who_is_answered_and_all_is_unknown(context: NodeContext, caller: Caller) -> None:
    dispatch = serving(context, raising(AssertionError()))
    reply = dispatch.answer_without_store(caller, encode_frame(Who(id=3, clients=(ANN,))))
    assert isinstance(reply, PresenceReply)
    assert [(one.client, one.state) for one in reply.devices] == [(ANN, PresenceState.UNKNOWN)]
    refused = dispatch.answer_without_store(caller, REQUEST)
    assert refused == Error(re=7, reason=Reason.STORE_UNAVAILABLE, retry_after_ms=STORE_RETRY_AFTER_MS)
