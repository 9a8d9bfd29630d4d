"""Messages in the place of a ``hello`` by which a stranger, who proves nothing, makes the hub decode."""

import os
from collections import Counter

import msgpack
import pytest
from tests.attacks.stranger.decoding import count_decoded
from tests.integration.hub.conftest import StartNode
from tests.integration.hub.device import SigningDevice, dial, receive

from muster_hub.connections.handshake import hello_cost
from muster_hub.listener import ListenerSettings, opening
from muster_hub.node.node import Tuning
from muster_hub.rate_limits.token_bucket import Rate
from muster_protocol import connect
from muster_protocol.connect import RefusedBody, Welcome
from muster_protocol.frames import RefusedFrame, decode_frame
from muster_protocol.ids import Nonce
from muster_protocol.reasons import Reason

WORK = 70
ONCE = Tuning(limits=ListenerSettings(stranger_work=Rate(per_s=0.001, burst=WORK)))
"""What one address may cause while a test runs: none of it comes back."""
SIGNATURES_OF_A_HELLO = 2
"""That of the connection and that of the card."""
SMALL: bytes = msgpack.packb({"t": "hello"})
LARGE: bytes = msgpack.packb({"t": "hello", "hello": b"", "x": bytes(65_000)})


@pytest.fixture(autouse=True)
def free_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let sockets cost nothing, so that the allowance is met by messages."""
    monkeypatch.setattr(opening, "SOCKET", 0)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """Count, by their size, the messages that a handshake decodes."""
    return count_decoded(monkeypatch, connect)


async def refused(url: str, message: bytes) -> Reason:
    async with dial(url) as socket:
        await receive(socket)
        await socket.send(message)
        answer = decode_frame(await receive(socket))
        assert isinstance(answer, RefusedFrame)
        body: list[str] = msgpack.unpackb(answer.refused.body)
        return Reason(body[RefusedBody.__struct_fields__.index("reason")])


@pytest.mark.parametrize("message", [SMALL, LARGE], ids=["small", "large"])
async def test_a_hello_is_paid_by_its_address_before_it_is_decoded(
    start_node: StartNode, decoded: Counter[int], message: bytes
) -> None:
    node, within = await start_node(tuning=ONCE), WORK // hello_cost(len(message))
    reasons = [await refused(node.url, message) for _ in range(within + 3)]
    assert reasons == [Reason.MALFORMED] * within + [Reason.OVERLOADED] * 3
    assert decoded[len(message)] == within


async def test_a_device_pays_for_its_signatures_and_no_more(start_node: StartNode) -> None:
    node = await start_node(tuning=ONCE)
    for _ in range(WORK // SIGNATURES_OF_A_HELLO):
        async with SigningDevice().connect(node.url):
            pass
    async with dial(node.url) as socket:
        device = SigningDevice()
        shake = device.handshake(node.url)
        shake.on_challenge(await receive(socket))
        await socket.send(shake.hello(Nonce(os.urandom(32)), None))
        answer = shake.on_reply(await receive(socket))
        assert not isinstance(answer, Welcome)
        assert answer.reason is Reason.OVERLOADED
