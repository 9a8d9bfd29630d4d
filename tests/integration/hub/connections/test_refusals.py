"""Every refusal of the handshake: signed by the hub, bound to this connection, and with a code: come back, or stop."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.integration.hub.conftest import Ask, Eventually, Records, StartNode, frozen
from tests.integration.hub.device import RefusedByHubError, SigningDevice, dial, receive
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from muster_hub.node.node import Node
from muster_hub.store import keys
from muster_hub.store.embedded import EmbeddedStore
from muster_protocol.cards import ProtocolRange
from muster_protocol.closes import CloseCode, is_stop
from muster_protocol.connect import DeviceHandshake, RefusedBody, challenge_hash, hello_message_hash
from muster_protocol.frames import Challenge, HelloFrame, RefusedFrame, Who, decode_frame, encode_frame
from muster_protocol.ids import Fingerprint, Nonce
from muster_protocol.keys import SigningKey
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, verify


@asynccontextmanager
async def challenged(node: Node) -> AsyncIterator[tuple[ClientConnection, bytes]]:
    async with dial(node.url) as socket:
        yield socket, await receive(socket)


async def refused(node: Node, socket: ClientConnection, challenge: bytes, hello: bytes) -> RefusedBody:
    """Send ``hello`` and return the hub's refusal, after checking its signature, what it is bound to, and the close."""
    await socket.send(hello)
    frame = decode_frame(await receive(socket))
    assert isinstance(frame, RefusedFrame)
    body = verify(frame.refused, node.context.key.public, RefusedBody)
    assert body.challenge == challenge_hash(challenge)
    with pytest.raises(ConnectionClosed):
        await receive(socket)
    assert socket.close_code == body.code
    return body


def hello_for(device: SigningDevice, url: str, challenge: bytes) -> bytes:
    shake = device.handshake(url)
    shake.on_challenge(challenge)
    return shake.hello(Nonce(os.urandom(32)), None)


def said(body: RefusedBody) -> tuple[Reason, int]:
    return body.reason, body.code


async def test_what_is_no_hello_is_malformed(node: Node) -> None:
    for nonsense in (b"", b"\xc1", b"\x80", encode_frame(Who(id=1, clients=()))):
        async with challenged(node) as (socket, challenge):
            body = await refused(node, socket, challenge, nonsense)
            assert body.code == CloseCode.PROTOCOL_VIOLATION
            assert body.reason is Reason.MALFORMED
            assert body.hello == hello_message_hash(nonsense)


async def test_a_signature_that_does_not_verify(node: Node) -> None:
    async with challenged(node) as (socket, challenge):
        frame = decode_frame(hello_for(SigningDevice(), node.url, challenge))
        assert isinstance(frame, HelloFrame)
        flipped = bytes([frame.connect.signature[0] ^ 1]) + frame.connect.signature[1:]
        forged = Signed(frame.connect.body, frame.connect.signer, flipped)  # type: ignore[arg-type]
        body = await refused(node, socket, challenge, encode_frame(HelloFrame(hello=frame.hello, connect=forged)))
        assert said(body) == (Reason.BAD_SIGNATURE, CloseCode.PROTOCOL_VIOLATION)


async def test_a_hello_for_another_challenge_is_of_no_use(node: Node) -> None:
    """What a device sent over one connection does not open another, also when relayed."""
    async with challenged(node) as (_, first), challenged(node) as (socket, second):
        body = await refused(node, socket, second, hello_for(SigningDevice(), node.url, first))
        assert said(body) == (Reason.MISMATCH, CloseCode.PROTOCOL_VIOLATION)


async def test_a_hello_for_another_hub_is_of_no_use(node: Node) -> None:
    """A hub in the middle shows its own key; what the device signs then is worth nothing here."""
    async with challenged(node) as (socket, challenge):
        frame = decode_frame(challenge)
        assert isinstance(frame, Challenge)
        other = SigningKey.from_secret(os.urandom(32))
        shown = Challenge(
            nonce=frame.nonce, hub_key=other.public, hub_rotations=(), protocol=frame.protocol, at=frame.at
        )
        body = await refused(node, socket, challenge, hello_for(SigningDevice(), node.url, encode_frame(shown)))
        assert said(body) == (Reason.HUB_KEY_CHANGED, CloseCode.KEY_MISMATCH)


async def test_an_origin_that_is_not_the_hubs_own(node: Node) -> None:
    with pytest.raises(RefusedByHubError) as caught:
        async with SigningDevice().connect(node.url, origin="wss://elsewhere.example"):
            pass
    assert said(caught.value.refused) == (Reason.WRONG_ORIGIN, CloseCode.WRONG_ORIGIN)
    assert node.url in caught.value.refused.origins


async def test_localhost_is_an_origin_of_a_hub_on_loopback(node: Node) -> None:
    async with SigningDevice().connect(node.url, origin=node.url.replace("127.0.0.1", "localhost")):
        pass


async def test_no_version_in_common(node: Node) -> None:
    async with challenged(node) as (socket, challenge):
        device = SigningDevice()
        device.protocol = ProtocolRange(7, 9)
        shake = device.handshake(node.url)
        with pytest.raises(Exception, match="incompatible"):
            shake.on_challenge(challenge)
        assert shake.hub is not None
        force(shake, challenge)
        body = await refused(node, socket, challenge, shake.hello(Nonce(os.urandom(32)), None))
        assert said(body) == (Reason.INCOMPATIBLE_PROTOCOL, CloseCode.INCOMPATIBLE)


def force(shake: DeviceHandshake, challenge: bytes) -> None:
    """Make a device go on where a good one would have stopped."""
    shake._challenge = challenge_hash(challenge)


async def test_a_retired_key_is_refused_and_recorded(node: Node, records: Records) -> None:
    device = SigningDevice()
    before = (device.key, device.card(), device.rotations)
    device.rotate()
    async with device.connect(node.url):
        pass
    device.key, device._card, device.rotations = before
    with pytest.raises(RefusedByHubError) as caught:
        async with device.connect(node.url):
            pass
    assert said(caught.value.refused) == (Reason.KEY_MISMATCH, CloseCode.KEY_MISMATCH)
    about = [b"key_retired", b"", device.client.encode()]
    assert about in [row[:3] for row in await records(node, device)], "who showed that key is not the device"


async def test_a_second_chain_from_one_key_is_refused_and_recorded(node: Node, records: Records) -> None:
    device = SigningDevice()
    genesis, rotations = device.key, device.rotations
    device.rotate()
    async with device.connect(node.url):
        pass
    device.key, device._card, device.rotations = genesis, None, rotations
    device.rotate()
    with pytest.raises(RefusedByHubError) as caught:
        async with device.connect(node.url):
            pass
    assert said(caught.value.refused) == (Reason.KEY_MISMATCH, CloseCode.KEY_MISMATCH)
    about = [b"key_forked", b"", device.client.encode()]
    assert about in [row[:3] for row in await records(node, device)], "who showed that key is not the device"


async def test_a_revoked_device_is_refused_for_good(node: Node, ask_store: Ask) -> None:
    device = SigningDevice()
    async with device.connect(node.url):
        pass
    await ask_store(node, b"HSET", keys.device(device.client), b"standing", b"device_revoked")
    with pytest.raises(RefusedByHubError) as caught:
        async with device.connect(node.url):
            pass
    assert said(caught.value.refused) == (Reason.DEVICE_REVOKED, CloseCode.REVOKED)


async def test_a_store_that_is_away_is_a_reason_to_come_back(
    own_store: EmbeddedStore, start_node: StartNode, eventually: Eventually
) -> None:
    node = await start_node(store=own_store.url)
    device = SigningDevice()
    async with device.connect(node.url):
        pass
    with frozen(own_store):
        for long in (False, True):
            if long:
                await eventually(lambda: not node.context.nodes.acting())
            with pytest.raises(RefusedByHubError) as caught:
                async with device.connect(node.url):
                    pass
            body = caught.value.refused
            assert said(body) == (Reason.STORE_UNAVAILABLE, CloseCode.STORE_UNAVAILABLE)
            assert body.retry_after_ms
            assert not is_stop(body.code)


async def test_a_device_that_pinned_another_key_says_nothing(node: Node) -> None:
    with pytest.raises(Exception, match="hub_key_changed"):
        async with SigningDevice().connect(node.url, pinned_hub=Fingerprint(os.urandom(32))):
            pass


async def test_nothing_may_come_between_hello_and_welcome(node: Node) -> None:
    async with challenged(node) as (socket, challenge):
        hello = hello_for(SigningDevice(), node.url, challenge)
        await socket.send(hello)
        await socket.send(hello)
        await socket.wait_closed()
        assert socket.close_code == CloseCode.PROTOCOL_VIOLATION
