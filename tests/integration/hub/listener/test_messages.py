"""Bytes to messages and back."""

import asyncio

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from muster_protocol.codec import MAX_MESSAGE_BYTES


async def closed_with(client):
    with pytest.raises(ConnectionClosed) as ended:
        await client.recv()
    assert ended.value.rcvd is not None
    return ended.value.rcvd.code


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, MAX_MESSAGE_BYTES])
async def test_a_message_of_any_allowed_size_comes_back(house, size):
    client = await house.client(await house.listen())
    await client.send(bytes(size))
    assert await client.recv() == bytes(size)


async def test_messages_keep_their_order(house):
    client = await house.client(await house.listen())
    sent = [str(number).encode() for number in range(500)]
    for message in sent:
        await client.send(message)
    assert [await client.recv() for _ in sent] == sent


async def test_fragments_are_put_together_also_around_a_ping(house):
    raw = await house.raw_websocket(await house.listen())
    raw.send(Opcode.BINARY, b"one ", fin=False)
    raw.send(Opcode.CONT, b"", fin=False)
    raw.send(Opcode.PING, b"between")
    raw.send(Opcode.CONT, b"two", fin=True)
    raw.send(Opcode.BINARY, b"three")
    frames = [await raw.frame() for _ in range(3)]
    assert [(frame.opcode, frame.data) for frame in frames] == [
        (Opcode.PONG, b"between"),
        (Opcode.BINARY, b"one two"),
        (Opcode.BINARY, b"three"),
    ]


async def test_a_message_may_come_byte_by_byte(house):
    raw = await house.raw_websocket(await house.listen())
    for byte in Frame(Opcode.BINARY, b"slowly" * 50).serialize(mask=True):
        raw.writer.write(bytes([byte]))
        await raw.writer.drain()
        await asyncio.sleep(0)  # lets the hub read this byte alone
    assert (await raw.frame()).data == b"slowly" * 50


async def test_frames_right_behind_the_handshake_are_not_lost(house):
    raw = await house.raw(await house.listen())
    first = Frame(Opcode.BINARY, b"early").serialize(mask=True)
    answer = await raw.upgrade("Sec-WebSocket-Protocol: muster.v1", behind=first)
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert (await raw.frame()).data == b"early"


async def test_a_message_that_is_too_large_is_refused_before_it_is_read(house):
    client = await house.client(await house.listen())
    await client.send(bytes(MAX_MESSAGE_BYTES + 1))
    assert await closed_with(client) == 1009
    assert house.handlers[0].messages == []


async def test_the_sum_of_fragments_is_bounded_too(house):
    client = await house.client(await house.listen())
    await client.send([bytes(MAX_MESSAGE_BYTES), b"x"])
    assert await closed_with(client) == 1009
    assert house.handlers[0].messages == []


async def test_text_is_refused_by_a_code_that_says_stop(house):
    client = await house.client(await house.listen())
    await client.send("words")
    assert await closed_with(client) == 4506
    assert house.handlers[0].messages == []


@pytest.mark.parametrize(
    "frame",
    [
        Frame(Opcode.BINARY, b"x", rsv1=True),
        Frame(Opcode.CONT, b"continues nothing"),
        Frame(Opcode.PING, bytes(126)),
        Frame(Opcode.PING, b"", fin=False),
    ],
    ids=["reserved bit", "continuation", "long ping", "fragmented ping"],
)
async def test_frames_against_the_rules_end_the_connection(house, frame, monkeypatch):
    raw = await house.raw_websocket(await house.listen())
    with monkeypatch.context() as patch:
        patch.setattr(Frame, "check", lambda self: None)  # the sender's check; the hub reads after it is back
        data = frame.serialize(mask=True)
    raw.writer.write(data)
    assert await raw.close_code() == 1002
    assert await raw.rest() == b""


async def test_an_unmasked_frame_ends_the_connection(house):
    raw = await house.raw_websocket(await house.listen())
    raw.writer.write(Frame(Opcode.BINARY, b"bare").serialize(mask=False))
    assert await raw.close_code() == 1002


async def test_what_came_before_a_close_frame_is_delivered(house):
    raw = await house.raw_websocket(await house.listen())
    last = Frame(Opcode.BINARY, b"last words").serialize(mask=True)
    raw.writer.write(last + Frame(Opcode.CLOSE, (1000).to_bytes(2)).serialize(mask=True))
    assert await raw.close_code() == 1000
    assert await house.handlers[0].cause() == "closed"
    assert house.handlers[0].messages == [b"last words"]


async def test_without_a_subprotocol_any_client_is_served(house):
    client = await house.client(await house.listen(subprotocol=None), subprotocols=None)
    await client.send(b"hello")
    assert await client.recv() == b"hello"


async def test_a_paused_peer_is_read_again_after_resume(house):
    client = await house.client(await house.listen())
    await client.send(b"first")
    await client.recv()
    peer = house.handlers[0].peer
    peer.pause()
    await client.send(b"second")
    peer.resume()
    assert await client.recv() == b"second"
