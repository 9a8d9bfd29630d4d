"""Requests: exactly one reply each, in order, and limits that are typed."""

import asyncio
from functools import partial

import msgpack
from tests.integration.hub.conftest import StartNode, frozen
from tests.integration.hub.device import SigningDevice

from muster_hub.node.node import Node, Tuning
from muster_hub.rate_limits.token_bucket import Rate
from muster_hub.store.embedded import EmbeddedStore
from muster_protocol.frames import (
    Error,
    ListStatements,
    Ok,
    PresenceReply,
    Reply,
    Statements,
    Who,
    encode_frame,
)
from muster_protocol.reasons import Reason


def error(reply: Reply) -> tuple[int, Reason]:
    assert isinstance(reply, Error)
    return reply.re, reply.reason


async def test_what_is_no_request_gets_a_typed_reply(node: Node) -> None:
    async with SigningDevice().connect(node.url) as link:
        unknown = await link.ask_bytes(7, msgpack.packb({"t": "teleport", "id": 7}))
        assert error(unknown) == (7, Reason.UNSUPPORTED)
        reply = await link.ask_bytes(8, msgpack.packb({"t": "who", "id": 8, "clients": ["somebody"]}))
        assert error(reply) == (8, Reason.MALFORMED)
        assert error(await link.ask_bytes(0, b"\xc1")) == (0, Reason.MALFORMED)
        assert error(await link.ask_bytes(0, encode_frame(Ok(re=9)))) == (0, Reason.UNSUPPORTED)


def _note(order: list[int], number: int, _done: object) -> None:
    order.append(number)


async def test_many_requests_at_once_are_answered_in_their_order(node: Node) -> None:
    """Far more than wait their turn: reading pauses, and nothing is lost."""
    async with SigningDevice().connect(node.url) as link:
        order: list[int] = []
        waits = [asyncio.ensure_future(link.ask_any(Who(id=0, clients=()))) for _ in range(200)]
        for number, wait in enumerate(waits):
            wait.add_done_callback(partial(_note, order, number))
        replies = await asyncio.gather(*waits)
        assert all(isinstance(reply, PresenceReply) for reply in replies)
        assert order == list(range(200))


async def test_a_device_that_asks_too_much_is_told_when_to_come_back(start_node: StartNode) -> None:
    node = await start_node(tuning=Tuning(request_rate=Rate(per_s=0.01, burst=10)))
    device = SigningDevice()
    async with device.connect(node.url) as link:
        replies = [await link.ask_any(Who(id=0, clients=())) for _ in range(12)]
    reasons = [reply.reason for reply in replies if isinstance(reply, Error)]
    assert reasons == [Reason.RATE_LIMITED] * 2
    assert isinstance(replies[-1], Error)
    assert (replies[-1].retry_after_ms or 0) > 1_000
    # Coming back does not fill the bucket, and others have their own.
    async with device.connect(node.url) as link:
        assert error(await link.ask_any(Who(id=0, clients=())))[1] is Reason.RATE_LIMITED
    async with SigningDevice().connect(node.url) as link:
        assert isinstance(await link.ask_any(Who(id=0, clients=())), PresenceReply)


async def test_a_store_that_is_away_is_reported_and_the_connection_stays(
    own_store: EmbeddedStore, start_node: StartNode
) -> None:
    node = await start_node(store=own_store.url)
    device = SigningDevice()
    async with device.connect(node.url) as link:
        with frozen(own_store):
            reply = await link.put(device.trust(SigningDevice()))
            assert error(reply)[1] is Reason.STORE_UNAVAILABLE
            assert isinstance(reply, Error)
            assert reply.retry_after_ms
        assert isinstance(await link.ask(ListStatements(id=0, after=0), Statements), Statements)
