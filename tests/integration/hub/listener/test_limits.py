"""Limits of number, of memory and of rate."""

import asyncio

import pytest
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode

from muster_hub.listener.settings import IDLE_FRAME
from muster_hub.rate_limits.token_bucket import Rate

OFFER = "Sec-WebSocket-Protocol: muster.v1"
CHUNK = bytes(16 * 1024)


async def fill(house, raw, *, stop_at=2_000):
    """Make the hub send to a peer that does not read, until it has had enough."""
    raw.send(Opcode.BINARY, b"hello")
    await raw.frame()
    peer = house.handlers[0].peer
    for _ in range(stop_at):
        peer.send(CHUNK)
        await asyncio.sleep(0)  # lets the transport write
        if peer.closing:
            return
    raise AssertionError("the outbox has no limit")


async def test_a_slow_reader_is_closed_and_still_gets_to_know_why(house):
    raw = await house.raw_websocket(await house.listen(unsent_limit_bytes=256 * 1024), receive_buffer=4096)
    await fill(house, raw)
    assert await raw.close_code() == 4004
    raw.hang_up()
    assert await house.handlers[0].cause() == "closed"


async def test_a_reader_that_never_reads_is_reset(house):
    raw = await house.raw_websocket(
        await house.listen(unsent_limit_bytes=256 * 1024, close_timeout_s=0.05), receive_buffer=4096
    )
    await fill(house, raw)
    assert await house.handlers[0].cause() == "closed"


async def test_the_outbox_holds_no_more_than_its_limit_and_a_message(house):
    limit = 128 * 1024
    raw = await house.raw_websocket(await house.listen(unsent_limit_bytes=limit), receive_buffer=4096)
    await fill(house, raw)
    peer = house.handlers[0].peer
    peer.send(CHUNK)
    assert limit < peer._transport.get_write_buffer_size() < limit + len(CHUNK) + 1_000


async def test_connections_are_limited_in_all(house):
    listener = await house.listen(max_connections=2)
    first = await house.client(listener)
    await house.client(listener)
    with pytest.raises(InvalidStatus) as refused:
        await house.client(listener)
    assert refused.value.response.status_code == 503
    assert refused.value.response.headers["Retry-After"] == "5"
    await first.close()
    await house.handlers[0].cause()
    await house.client(listener)


async def test_health_is_answered_when_there_is_no_room(house):
    listener = await house.listen(max_connections=1)
    await house.client(listener)
    raw = await house.raw(listener)
    assert (await raw.request("GET /healthz HTTP/1.1\n\n")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("limit", ["max_unauthenticated", "max_unauthenticated_per_address"])
async def test_strangers_are_limited_and_make_room_once_they_are_known(house, stranger, limit):
    listener = await house.listen(stranger, **{limit: 1})
    raw = await house.raw_websocket(listener)
    with pytest.raises(InvalidStatus) as refused:
        await house.client(listener)
    assert refused.value.response.status_code == 503
    house.handlers[0].peer.authenticated()
    await house.client(listener)
    raw.hang_up()


async def test_a_stranger_who_leaves_makes_room(house, stranger):
    listener = await house.listen(stranger, max_unauthenticated=1)
    client = await house.client(listener)
    await client.close()
    await house.handlers[0].cause()
    await house.client(listener)


async def test_a_socket_that_never_asked_counts_and_makes_room(house):
    listener = await house.listen(max_unauthenticated=1)
    idle = await house.raw(listener)
    second = await house.raw(listener)
    assert (await second.upgrade(OFFER)).startswith(b"HTTP/1.1 503 ")
    idle.hang_up()
    await house.until(lambda: listener._state.gate.inside == 0)
    await house.client(listener)


async def test_a_stranger_is_awaited_until_its_message_is_whole_and_while_it_closes(house, stranger):
    raw = await house.raw_websocket(await house.listen(stranger))
    peer = house.handlers[0].peer
    raw.writer.write(Frame(Opcode.BINARY, b"hel", fin=False).serialize(mask=True))
    await house.until(lambda: peer._partial is not None)
    assert peer.waits_for_peer
    raw.send(Opcode.CONT, b"lo")
    await house.until(lambda: house.handlers[0].messages == [b"hello"])
    assert not peer.waits_for_peer
    peer.close(4001)
    assert peer.waits_for_peer
    raw.hang_up()


async def test_far_beyond_the_limit_sockets_are_reset_unread(house):
    listener = await house.listen(max_connections=1, max_refusals_at_once=1)
    await house.client(listener)
    await house.raw(listener)
    third = await house.raw(listener)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await third.upgrade(OFFER)


async def test_an_eager_peer_is_read_more_slowly_and_loses_nothing(house):
    listener = await house.listen(frame_rate=Rate(per_s=500, burst=5, debt_limit=1_000))
    raw = await house.raw_websocket(listener)
    messages = [str(number).encode() for number in range(30)]
    raw.writer.write(b"".join(Frame(Opcode.BINARY, message).serialize(mask=True) for message in messages))
    assert [(await raw.frame()).data for _ in messages] == messages
    raw.send(Opcode.BINARY, b"after the pause")
    assert (await raw.frame()).data == b"after the pause"


@pytest.mark.parametrize(
    "rates",
    [{"frame_rate": Rate(per_s=0.001, burst=5, debt_limit=1_000)}, {"byte_rate": Rate(0.001, 50, 10_000)}],
    ids=["frames", "bytes"],
)
async def test_a_debtor_is_not_read(house, rates):
    raw = await house.raw_websocket(await house.listen(**rates))
    raw.writer.write(b"".join(Frame(Opcode.BINARY, b"x").serialize(mask=True) for _ in range(20)))
    for _ in range(20):
        await raw.frame()
    transport = house.handlers[0].peer._transport
    assert not transport.is_reading()
    house.handlers[0].peer.resume()  # the handler's own wish does not lift the limit
    assert not transport.is_reading()


async def test_a_debtor_still_has_its_deadline(house, stranger):
    raw = await house.raw_websocket(
        await house.listen(stranger, frame_rate=Rate(0.001, 1, 1_000), auth_deadline_s=0.05)
    )
    for _ in range(3):
        raw.send(Opcode.BINARY, b"x")
    assert await raw.close_code() == 4005


@pytest.mark.parametrize("opcode", [Opcode.BINARY, Opcode.PING, Opcode.PONG])
async def test_a_flood_of_frames_of_any_kind_is_closed(house, opcode):
    raw = await house.raw_websocket(await house.listen(frame_rate=Rate(per_s=1, burst=10, debt_limit=50)))
    raw.writer.write(Frame(opcode, b"").serialize(mask=True) * 100)
    assert await raw.close_code() == 4007
    assert house.handlers[0].messages == []


async def test_a_message_that_trickles_in_is_read_more_slowly(house):
    few = 5
    raw = await house.raw_websocket(await house.listen(frame_rate=Rate(0.001, few * IDLE_FRAME, 1_000)))
    frames, transport = house.handlers[0].peer._intake._frames, house.handlers[0].peer._transport
    for byte in Frame(Opcode.BINARY, bytes(100)).serialize(mask=True)[: few + 1]:
        before = frames._left
        raw.writer.write(bytes([byte]))
        await house.until(lambda before=before: frames._left < before - IDLE_FRAME / 2)
    assert not transport.is_reading()
    raw.hang_up()


async def test_a_flood_in_one_read_is_not_parsed_to_its_end(house):
    raw = await house.raw_websocket(await house.listen(frame_rate=Rate(per_s=1, burst=10, debt_limit=50)))
    raw.writer.write(Frame(Opcode.PING, b"").serialize(mask=True) * 10_000)
    answered = 0
    while (await raw.frame()).opcode is Opcode.PONG:
        answered += 1
    assert answered < 1_000
    assert house.handlers[0].peer._phase.name == "CLOSING"


async def test_a_flooder_that_does_not_stop_is_reset(house):
    listener = await house.listen(byte_rate=Rate(per_s=1, burst=100, debt_limit=1_000), close_timeout_s=3600)
    raw = await house.raw_websocket(listener)
    with pytest.raises(ConnectionError):
        await raw.talk_on(Frame(Opcode.BINARY, bytes(60_000)).serialize(mask=True))
    assert await house.handlers[0].cause() == "closed"
