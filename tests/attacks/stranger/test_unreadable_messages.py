"""Messages that the hub cannot serve, by which a stranger would make it decode without end."""

import asyncio
import os
from collections import Counter
from typing import Any

import msgpack
import pytest
from tests.attacks.stranger.decoding import count_decoded
from tests.integration.hub.conftest import Eventually, StartNode
from tests.integration.hub.device import SigningDevice, dial, receive

from muster_hub.connections import connection, dispatch
from muster_hub.node.node import Tuning
from muster_hub.rate_limits.costs import arrival_cost
from muster_hub.rate_limits.token_bucket import Rate
from muster_protocol import codec
from muster_protocol.codec import MAX_CONTAINERS, MAX_MESSAGE_BYTES, unpack
from muster_protocol.connect import Welcome
from muster_protocol.errors import Refused
from muster_protocol.frames import FrameRefused, PresenceReply, Who, decode_frame
from muster_protocol.ids import Nonce
from muster_protocol.reasons import Reason

LIMIT = 100
ONCE = Tuning(request_rate=Rate(per_s=0.001, burst=LIMIT, debt_limit=LIMIT))
"""What a device may cause while a test runs, and owe beyond that: none of it comes back."""
SMALL: bytes = msgpack.packb({"t": "nope", "id": 7})
UNKNOWN_TYPE: bytes = msgpack.packb({"t": "nope", "id": 7, "x": bytes(MAX_MESSAGE_BYTES - 64)})
MESSAGES = 30
CLAIM = b"\xdd" + (MAX_MESSAGE_BYTES - 8).to_bytes(4, "big")
"""The header of an array with as many items as a message has bytes."""


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the messages that are built as objects, and the arrays and maps in them."""
    counted: Counter[str] = Counter()
    build, count = codec._parse, codec._ContainerCount.__call__

    def building(*args: Any, **named: Any) -> object:
        counted["messages"] += 1
        return build(*args, **named)

    def counting(self: codec._ContainerCount, container: Any) -> Any:
        counted["containers"] += 1
        return count(self, container)

    monkeypatch.setattr(codec, "_parse", building)
    monkeypatch.setattr(codec._ContainerCount, "__call__", counting)
    return counted


def small_lists(count: int) -> bytes:
    data: bytes = msgpack.packb({"t": "nope", "id": 7, "x": [[] for _ in range(count)]})
    return data


def test_no_more_small_lists_are_built_than_the_limit(built: Counter[str]) -> None:
    with pytest.raises(Refused) as refused:
        decode_frame(small_lists(65_000))
    assert refused.value.reason is Reason.MALFORMED
    assert built == {"messages": 1, "containers": MAX_CONTAINERS + 1}


def test_as_many_as_the_limit_are_built_wherever_they_are() -> None:
    unpack(small_lists(MAX_CONTAINERS - 2))
    with pytest.raises(Refused):
        unpack(small_lists(MAX_CONTAINERS - 1))


def test_bytes_that_look_like_headers_are_not_counted() -> None:
    assert unpack(msgpack.packb(b"\x90" * 60_000)) == b"\x90" * 60_000


def test_nested_claims_of_many_items_build_nothing(built: Counter[str]) -> None:
    """Each would take memory for 65,000 items before the next header is read."""
    with pytest.raises(Refused) as refused:
        decode_frame((CLAIM * 1_000).ljust(MAX_MESSAGE_BYTES, b"\xc0"))
    assert refused.value.reason is Reason.MALFORMED
    assert not built


@pytest.mark.parametrize("size", [1, 2, 4, 8, 16, 17])
def test_no_extension_is_built(size: int) -> None:
    """An object for each would take five times what its message pays."""
    with pytest.raises(Refused) as refused:
        decode_frame(msgpack.packb({"t": "nope", "id": 7, "x": [msgpack.ExtType(5, bytes(size))] * 3_000}))
    assert refused.value.reason is Reason.MALFORMED


@pytest.mark.parametrize("seconds", [1, 2**33, 2**40])
def test_a_timestamp_is_built_as_a_number(seconds: int) -> None:
    """An object for each would take as long as one for an extension."""
    assert unpack(msgpack.packb(msgpack.Timestamp(seconds))) == float(seconds)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """Count, by their size, the messages that the dispatch decodes."""
    return count_decoded(monkeypatch, dispatch)


async def admitted(device: SigningDevice, url: str, socket: Any) -> None:
    shake = device.handshake(url)
    shake.on_challenge(await receive(socket))
    await socket.send(shake.hello(Nonce(os.urandom(32)), None))
    assert isinstance(shake.on_reply(await receive(socket)), Welcome)


async def test_messages_of_an_unknown_type_are_paid_before_they_are_decoded(
    start_node: StartNode, decoded: Counter[int], eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MAX_PAUSE_S", 3600.0)
    node, stranger, other = await start_node(tuning=ONCE), SigningDevice(), SigningDevice()
    size, cost = len(UNKNOWN_TYPE), arrival_cost(len(UNKNOWN_TYPE))
    async with dial(node.url) as socket, other.connect(node.url) as friend:
        await admitted(stranger, node.url, socket)
        for _ in range(MESSAGES):
            await socket.send(UNKNOWN_TYPE)
        await eventually(lambda: decoded[size] * cost > 2 * LIMIT)
        for _ in range(3):
            assert isinstance(await friend.ask_any(Who(id=0, clients=(stranger.client,))), PresenceReply)
        assert (decoded[size] - 1) * cost <= 2 * LIMIT < MESSAGES * cost


async def test_each_message_lets_others_be_served_before_the_next_is_decoded(
    start_node: StartNode, decoded: Counter[int]
) -> None:
    """Each turn of the event loop, in which others are served, decodes one message."""
    node, stranger = await start_node(), SigningDevice()
    size, most, before = len(SMALL), 0, 0
    async with dial(node.url) as socket:
        await admitted(stranger, node.url, socket)
        for _ in range(MESSAGES):
            await socket.send(SMALL)
        while decoded[size] < MESSAGES:
            await asyncio.sleep(0)
            most, before = max(most, decoded[size] - before), decoded[size]
    assert most == 1


async def test_a_refused_message_is_decoded_once_and_its_number_is_known(built: Counter[str]) -> None:
    with pytest.raises(FrameRefused) as refused:
        decode_frame(UNKNOWN_TYPE)
    assert refused.value.number("id") == 7
    assert built["messages"] == 1
