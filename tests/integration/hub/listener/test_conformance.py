"""RFC 6455 case by case, in the order of the Autobahn test suite, against an echo handler on raw sockets.

Each case is what a peer sends and what it gets back, close code and end of stream included. Text is not spoken here, so
the cases of UTF-8 (6) come down to one typed refusal.
"""

import asyncio

import pytest
from tests.integration.hub.listener.raw_frames import MASK, frame
from websockets.frames import Opcode

from muster_protocol.closes import CloseCode
from muster_protocol.codec import MAX_MESSAGE_BYTES

CONT, TEXT, BINARY, CLOSE, PING, PONG = (
    *(Opcode.CONT, Opcode.TEXT, Opcode.BINARY),
    *(Opcode.CLOSE, Opcode.PING, Opcode.PONG),
)
BROKEN = ("close", 1002)
BYE = ("close", 1000)
Heard = list[tuple[object, object]]


LATE = frame(BINARY, b"late")


def close(code: int | None = 1000, reason: bytes = b"") -> bytes:
    return frame(CLOSE, b"" if code is None else code.to_bytes(2) + reason)


async def said(raw) -> Heard:
    """Read frames up to the end of the stream; a close frame is shown by its code, or None if it has none."""
    heard: Heard = []
    while True:
        try:
            got = await raw.frame()
        except asyncio.IncompleteReadError as end:
            if end.partial:
                raise
            return heard
        if got.opcode is CLOSE:
            heard.append(("close", int.from_bytes(got.data[:2]) if got.data else None))
        else:
            assert got.fin
            heard.append((got.opcode, bytes(got.data)))


async def spoken(house, stream: bytes, chop: int | None = None, **settings):
    """Connect and send a stream, at once or in pieces that the hub reads one by one."""
    settings = {"subprotocol": None, "frame_rate": None, "byte_rate": None} | settings
    raw = await house.raw_websocket(await house.listen(**settings))
    for at in range(0, len(stream), chop or len(stream)):
        raw.writer.write(stream[at : at + (chop or len(stream))])
        if chop:
            await raw.writer.drain()
            await asyncio.sleep(0)
    return raw


async def answered(house, stream: bytes, **settings) -> Heard:
    """Send a stream and return what came back, up to the end that the hub makes."""
    return await said(await spoken(house, stream, **settings))


async def answered_and_closed(house, stream: bytes, expected: int, *, chop: int | None = None) -> Heard:
    """Send a stream, wait for so many frames, close, and return the frames; the end must be a clean one.

    Not all in one write: a close that is read together with a message is answered before the handler's own words.
    """
    raw = await spoken(house, stream, chop)
    heard = [await raw.frame() for _ in range(expected)]
    raw.writer.write(close())
    assert await said(raw) == [BYE]
    return [(got.opcode, bytes(got.data)) for got in heard]


@pytest.mark.parametrize("size", [0, 125, 126, 127, 128, 65_535, 65_536])
async def test_1_2_messages_come_back(house, size):
    message = bytes(byte % 251 for byte in range(size))
    assert await answered_and_closed(house, frame(BINARY, message), 1) == [(BINARY, message)]


@pytest.mark.parametrize("chop", [1, 997])
async def test_1_2_messages_come_back_however_they_arrive(house, chop):
    message = bytes(byte % 251 for byte in range(4_000))
    assert await answered_and_closed(house, frame(BINARY, message), 1, chop=chop) == [(BINARY, message)]


@pytest.mark.parametrize(
    "mask", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x00\x01\x02\x03"], ids=["zeros", "ones", "counting"]
)
async def test_1_2_any_mask_is_a_mask(house, mask):
    stream = frame(BINARY, b"behind a mask", mask=mask)
    assert await answered_and_closed(house, stream, 1) == [(BINARY, b"behind a mask")]


@pytest.mark.parametrize("chop", [None, 1], ids=["at once", "bytewise"])
@pytest.mark.parametrize("data", [b"", b"Hello", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", b"\xfe" * 125])
async def test_2_a_ping_comes_back_as_a_pong(house, data, chop):
    assert await answered_and_closed(house, frame(PING, data), 1, chop=chop) == [(PONG, data)]


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
async def test_2_5_a_control_frame_has_125_bytes_at_most(house, opcode):
    assert await answered(house, frame(opcode, b"\x03\xe8" + b"x" * 124)) == [BROKEN]


async def test_2_7_unsolicited_pongs_change_nothing(house):
    stream = frame(PONG) + frame(PONG, b"unasked") + frame(PING, b"asked")
    assert await answered_and_closed(house, stream, 1) == [(PONG, b"asked")]


@pytest.mark.parametrize("chop", [None, 1], ids=["at once", "bytewise"])
async def test_2_10_each_of_many_pings_is_answered_in_order(house, chop):
    pings = [b"payload-%d" % number for number in range(10)]
    heard = await answered_and_closed(house, b"".join(frame(PING, ping) for ping in pings), len(pings), chop=chop)
    assert heard == [(PONG, ping) for ping in pings]


@pytest.mark.parametrize("bits", range(1, 8))
@pytest.mark.parametrize("opcode", [BINARY, PING, PONG, CLOSE])
async def test_3_reserved_bits_end_the_connection(house, opcode, bits):
    assert await answered(house, frame(opcode | bits << 4, b"") + frame(PING)) == [BROKEN]


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("data", [b"", b"reserved"])
async def test_4_reserved_opcodes_end_the_connection(house, opcode, data):
    assert await answered(house, frame(opcode, data) + frame(PING)) == [BROKEN]


async def test_4_what_came_before_a_broken_frame_is_not_taken_back(house):
    raw = await house.raw_websocket(await house.listen(subprotocol=None))
    raw.writer.write(frame(BINARY, b"good"))
    assert (await raw.frame()).data == b"good"
    raw.writer.write(frame(5))
    assert await said(raw) == [BROKEN]
    assert house.handlers[0].messages == [b"good"]


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
async def test_5_1_control_frames_are_not_fragmented(house, opcode):
    assert await answered(house, frame(opcode, b"", fin=False) + frame(CONT)) == [BROKEN]


@pytest.mark.parametrize("chop", [None, 1], ids=["at once", "bytewise"])
@pytest.mark.parametrize(
    ("fragments", "between"),
    [
        ((b"one", b"two"), b""),
        ((b"", b""), b""),
        ((b"", b"", b"late", b""), b""),
        ((b"one", b"two"), frame(PING, b"ping")),
        ((b"one", b"two", b"three", b"four", b"five"), frame(PING, b"ping")),
        ((b"one", b"two"), frame(PONG, b"unasked")),
    ],
)
async def test_5_fragments_are_one_message(house, fragments, between, chop):
    last = len(fragments) - 1
    parts = [frame(CONT if at else BINARY, part, fin=at == last) for at, part in enumerate(fragments)]
    pongs = [(PONG, b"ping")] * (last if between[:1] == frame(PING)[:1] else 0)
    heard = await answered_and_closed(house, between.join(parts), len(pongs) + 1, chop=chop)
    assert heard == [*pongs, (BINARY, b"".join(fragments))]


@pytest.mark.parametrize(
    "stream",
    [
        frame(CONT, b"of nothing"),
        frame(CONT, b"of nothing", fin=False),
        frame(BINARY, b"whole") + frame(CONT, b"and more"),
        frame(BINARY, b"one", fin=False) + frame(CONT, b"two") + frame(CONT, b"three", fin=False),
        frame(BINARY, b"one", fin=False) + frame(BINARY, b"another"),
        frame(BINARY, b"one", fin=False) + frame(TEXT, b"another"),
        frame(BINARY, b"one", fin=False) + close(),
    ],
    ids=["alone", "alone, to go on", "behind a whole", "behind the last", "binary in it", "text in it", "close in it"],
)
async def test_5_fragments_out_of_order_end_the_connection(house, stream):
    heard = await answered(house, stream + frame(PING))
    assert heard[-1] == BROKEN
    assert (PONG, b"") not in heard


@pytest.mark.parametrize(
    "stream",
    [
        frame(TEXT, b"") + LATE,
        frame(TEXT, b"words") + LATE,
        frame(TEXT, "\u03ba\u1f79\u03c3\u03bc\u03b5".encode()) + LATE,
        frame(TEXT, b"\xce\xba\xed\xa0\x80 not UTF-8") + LATE,
        frame(TEXT, b"begun", fin=False) + frame(PING),
        frame(TEXT, b"begun \xce", fin=False) + frame(CONT, b"\xba and done") + LATE,
    ],
    ids=["empty", "ASCII", "UTF-8", "not UTF-8", "begun", "cut in a character"],
)
async def test_6_text_is_refused_by_a_code_that_says_stop(house, stream):
    raw = await spoken(house, frame(BINARY, b"before") + stream)
    heard = [got for got in await said(raw) if got[0] is not PONG]
    assert heard == [(BINARY, b"before"), ("close", CloseCode.UNSUPPORTED_DATA)]
    assert house.handlers[0].messages == [b"before"]


@pytest.mark.parametrize("behind", [b"", close(), frame(PING), LATE, frame(CONT, b"late"), b"\xff"])
async def test_7_1_nothing_behind_a_close_counts(house, behind):
    assert await answered(house, frame(BINARY, b"x") + close() + behind) == [BYE]
    assert house.handlers[0].messages == [b"x"]
    assert await house.handlers[0].cause() == "closed"


@pytest.mark.parametrize(
    ("data", "heard"),
    [
        (b"", ("close", None)),
        (b"\x03", BROKEN),
        (b"\x03\xe8", BYE),
        (b"\x03\xe8Hello World!", BYE),
        (b"\x03\xe8" + b"*" * 123, BYE),
        (b"\x03\xe8\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", BYE),
        (b"\x03\xe8\xce\xba\xed\xa0\x80", ("close", 1007)),
    ],
    ids=["empty", "one byte", "code", "reason", "long reason", "UTF-8 reason", "reason not UTF-8"],
)
async def test_7_3_a_close_frame_is_read_whole(house, data, heard):
    assert await answered(house, frame(CLOSE, data)) == [heard]


@pytest.mark.parametrize(
    "code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
)
async def test_7_7_a_close_code_for_peers_is_echoed(house, code):
    assert await answered(house, close(code)) == [("close", code)]


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535])
async def test_7_9_a_close_code_outside_the_allowed_ranges_ends_the_connection(house, code):
    assert await answered(house, close(code)) == [BROKEN]


@pytest.mark.parametrize("fragment", [MAX_MESSAGE_BYTES, 4_096, 1_000])
async def test_9_a_message_of_the_largest_size_comes_back_in_any_fragments(house, fragment):
    message = bytes(byte % 251 for byte in range(MAX_MESSAGE_BYTES))
    parts = [message[at : at + fragment] for at in range(0, len(message), fragment)]
    frames = [frame(CONT if at else BINARY, part, fin=at == len(parts) - 1) for at, part in enumerate(parts)]
    assert await answered_and_closed(house, b"".join(frames), 1) == [(BINARY, message)]


@pytest.mark.parametrize("chop", [64, 1_000])
async def test_9_the_largest_message_comes_back_however_it_arrives(house, chop):
    message = bytes(byte % 251 for byte in range(MAX_MESSAGE_BYTES))
    assert await answered_and_closed(house, frame(BINARY, message), 1, chop=chop) == [(BINARY, message)]


@pytest.mark.parametrize(
    "stream",
    [
        frame(BINARY, bytes(MAX_MESSAGE_BYTES + 1)),
        b"\x82\xfe\xff\xff" + MASK,
        b"\x82\xff" + (2**62).to_bytes(8) + MASK,
        frame(BINARY, bytes(MAX_MESSAGE_BYTES), fin=False) + frame(CONT, b"x", fin=False),
    ],
    ids=["too long", "said to be", "said to be huge", "too long in all"],
)
async def test_9_a_message_above_the_limit_is_refused(house, stream):
    limit = 60_000 if stream.startswith(b"\x82\xfe") else MAX_MESSAGE_BYTES
    assert await answered(house, stream, max_message_bytes=limit) == [("close", 1009)]


async def test_9_a_length_of_more_than_63_bits_is_refused(house):
    heard = await answered(house, b"\x82\xff" + b"\xff" * 8 + MASK)
    assert heard in ([("close", 1009)], [BROKEN])


@pytest.mark.parametrize("size", [0, 16, 125, 4_096])
async def test_9_7_many_messages_come_back_in_order(house, size):
    messages = [number.to_bytes(2) + bytes(size) for number in range(300)]
    stream = b"".join(frame(BINARY, message) for message in messages)
    assert await answered_and_closed(house, stream, len(messages)) == [(BINARY, message) for message in messages]


@pytest.mark.parametrize("opcode", [BINARY, PING, CLOSE])
async def test_frames_without_a_mask_end_the_connection(house, opcode):
    assert await answered(house, frame(opcode, b"\x03\xe8", mask=None)) == [BROKEN]
