"""Bytes that are no frames, frames that are cut or lie about their size, and peers that vanish."""

import asyncio
import random

import pytest
from tests.integration.hub.device import SigningDevice
from tests.integration.hub.listener.raw_frames import MASK, frame
from websockets.frames import Opcode

from muster_protocol.closes import CloseCode
from muster_protocol.connect import Welcome
from muster_protocol.ids import Nonce

pytestmark = pytest.mark.asyncio(loop_scope="session")

SEED = 20_251
STREAMS = 150
AT_ONCE = 50
ENDINGS = {1000, 1002, 1007, 1009, CloseCode.UNSUPPORTED_DATA, CloseCode.PROTOCOL_VIOLATION, CloseCode.RATE_LIMITED}
"""How a stranger who sends bytes may hear that it is over; INTERNAL is not among them."""


def _rubbish(number: int) -> bytes:
    """Return random bytes, or frames with random parts, the same for the same number."""
    chance = random.Random(SEED + number)  # noqa: S311 - to try different things, the same ones each time
    if number % 3 == 0:
        return chance.randbytes(chance.randrange(1, 3_000))
    frames = []
    for _ in range(chance.randrange(1, 20)):
        data = chance.randbytes(chance.choice((0, 1, 2, 125, 126, 500)))
        opcode = chance.randrange(16) if number % 3 == 1 else chance.choice((0, 2, 8, 9, 10))
        frames.append(frame(opcode | chance.choice((0, 0, 0, 0x40)), data, fin=chance.random() < 0.7))
    return b"".join(frames)


async def _thrown(door, stream):
    """Throw bytes at the hub where a ``hello`` should come, and return the close code.

    From one of many addresses, since each may open some hundred sockets a second.
    """
    async with door.websocket(source=f"127.0.3.{1 + len(stream) % 250}") as peer:
        peer.send(stream)
        peer.half_close()
        return (await peer.ending()).code


async def test_random_bytes_end_in_a_close_that_says_why(hub):
    async def attack():
        for start in range(0, STREAMS, AT_ONCE):
            streams = [_rubbish(number) for number in range(start, start + AT_ONCE)]
            codes = await asyncio.gather(*(_thrown(hub.door, stream) for stream in streams))
            for stream, code in zip(streams, codes, strict=True):
                # A peer that ended its half in the middle of a frame is not told anything any more.
                assert code in ENDINGS or code is None, (code, stream[:40])
            assert any(codes)

    await hub.stays_flat(attack)


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        (b"\x82\xfe\xff\xff" + MASK + bytes(1_000), None),
        (b"\x82\xff" + (65_537).to_bytes(8) + MASK, 1009),
        (b"\x82\xff" + (2**63 - 1).to_bytes(8) + MASK, 1009),
        (frame(Opcode.BINARY, bytes(65_536), fin=False) + frame(Opcode.CONT, b"x"), 1009),
        (frame(Opcode.BINARY, b"", fin=False) + frame(Opcode.CONT, b"", fin=False) * 900, CloseCode.RATE_LIMITED),
        (frame(Opcode.CONT, b"") * 3, 1002),
        (frame(Opcode.PING, b"") * 4_000, CloseCode.RATE_LIMITED),
        (frame(Opcode.TEXT, b"hello"), CloseCode.UNSUPPORTED_DATA),
        (frame(Opcode.BINARY, b"bare", mask=None), 1002),
    ],
    ids=[
        *("cut short", "too large", "huge", "too large in all", "nothing in many fragments", "continuing nothing"),
        *("a flood of pings", "text", "unmasked"),
    ],
)
async def test_frames_that_lie_about_themselves(hub, stream, code):
    async def attack():
        codes = await asyncio.gather(*(_thrown(hub.door, stream) for _ in range(AT_ONCE)))
        assert set(codes) == {code}

    await hub.stays_flat(attack, rounds=2)


async def test_a_hello_may_come_byte_by_byte(hub):
    shake = SigningDevice().handshake(hub.url)
    async with hub.door.websocket() as peer:
        shake.on_challenge(await peer.message_of_hub())
        for byte in frame(Opcode.BINARY, shake.hello(Nonce(bytes(32)), None)):
            peer.send(bytes([byte]))
            await peer.writer.drain()
            await asyncio.sleep(0)
        assert isinstance(shake.on_reply(await peer.message_of_hub()), Welcome)


async def test_peers_that_vanish_leave_nothing_behind(hub):
    async def vanish(number):
        whole = frame(Opcode.BINARY, bytes(20_000), fin=False)
        async with hub.door.websocket() as peer:
            peer.send(whole[: len(whole) * number // STREAMS])
            await peer.writer.drain()
            peer.reset()

    async def attack():
        for start in range(0, STREAMS, AT_ONCE):
            await asyncio.gather(*(vanish(number) for number in range(start, start + AT_ONCE)))

    await hub.stays_flat(attack)
