"""What happens to peers that are slow, silent or gone."""

import time

import pytest
from websockets.frames import Frame, Opcode


async def test_a_peer_that_sends_no_request_is_told_so_and_dropped(house):
    raw = await house.raw(await house.listen(handshake_deadline_s=0.05))
    assert (await raw.rest()).startswith(b"HTTP/1.1 408 ")


async def test_half_a_request_does_not_move_the_deadline(house):
    raw = await house.raw(await house.listen(handshake_deadline_s=0.05))
    answer = await raw.request("GET / HTTP/1.1\nHost: hub\n")
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_an_answered_peer_that_stays_is_reset(house):
    raw = await house.raw(await house.listen(close_timeout_s=0.05))
    await raw.request("GET /healthz HTTP/1.1\n\n")
    await raw.rest()  # the hub has ended its half
    with pytest.raises(ConnectionError):
        await raw.talk_on(b"x")  # the other half stays open until the hub resets it


async def test_a_peer_that_does_not_authenticate_is_closed(house, stranger):
    raw = await house.raw_websocket(await house.listen(stranger, auth_deadline_s=0.05))
    raw.send(Opcode.BINARY, b"talking does not help")
    assert await raw.close_code() == 4005
    raw.hang_up()
    assert await house.handlers[0].cause() == "timeout"


async def test_a_silent_peer_is_asked_and_a_frozen_one_is_closed(house):
    raw = await house.raw_websocket(await house.listen(keepalive_interval_s=0.05, keepalive_timeout_s=0.05))
    assert (await raw.frame()).opcode is Opcode.PING
    close = await raw.frame()
    assert (close.opcode, close.data[:2]) == (Opcode.CLOSE, (4006).to_bytes(2))
    assert await house.handlers[0].cause() == "timeout"  # this peer answers nothing, so it was reset


async def test_a_peer_that_answers_stays_and_its_round_trip_is_known(house):
    raw = await house.raw_websocket(await house.listen(keepalive_interval_s=0.05, keepalive_timeout_s=0.5))
    for _ in range(3):
        ping = await raw.frame()
        assert ping.opcode is Opcode.PING
        raw.send(Opcode.PONG, ping.data)
    raw.send(Opcode.BINARY, b"still here")
    while (await raw.frame()).opcode is not Opcode.BINARY:
        pass
    assert house.handlers[0].peer.ping_rtt_ms > 0


async def test_an_unasked_pong_is_a_sign_of_life_but_measures_nothing(house):
    raw = await house.raw_websocket(await house.listen(keepalive_interval_s=0.05, keepalive_timeout_s=0.1))
    for _ in range(3):
        assert (await raw.frame()).opcode is Opcode.PING
        raw.send(Opcode.PONG, b"about nothing")
    assert house.handlers[0].peer.ping_rtt_ms is None


async def test_a_hub_that_was_frozen_drops_no_connection(house):
    listener = await house.listen(keepalive_interval_s=0.05, keepalive_timeout_s=0.2)
    raw = await house.raw_websocket(listener)
    assert (await raw.frame()).opcode is Opcode.PING
    time.sleep(0.5)  # noqa: ASYNC251 - the whole process stands still, as under SIGSTOP
    raw.send(Opcode.BINARY, b"I was here all the time")
    frame = await raw.frame()
    while frame.opcode is Opcode.PING:
        frame = await raw.frame()
    assert frame.opcode is Opcode.BINARY


async def test_a_peer_that_does_not_answer_a_close_frame_is_reset(house):
    raw = await house.raw_websocket(await house.listen(close_timeout_s=0.05))
    raw.send(Opcode.BINARY, b"hello")
    await raw.frame()
    house.handlers[0].peer.close(4502, "enough")
    close = await raw.frame()
    assert close.data == (4502).to_bytes(2) + b"enough"
    assert await house.handlers[0].cause() == "closed"


async def test_a_peer_that_answers_a_close_frame_is_let_go_at_once(house):
    raw = await house.raw_websocket(await house.listen(close_timeout_s=3600))
    raw.send(Opcode.BINARY, b"hello")
    await raw.frame()
    house.handlers[0].peer.close(4001)
    close = await raw.frame()
    raw.writer.write(Frame(Opcode.BINARY, b"too late").serialize(mask=True))
    raw.send(Opcode.CLOSE, bytes(close.data))
    assert await raw.rest() == b""
    assert await house.handlers[0].cause() == "closed"
    assert house.handlers[0].messages == [b"hello"]
