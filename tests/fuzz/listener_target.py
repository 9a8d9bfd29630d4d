"""A listener's connection from its first byte to its last, without a socket: bytes in, bytes and calls out."""

import ipaddress
import re
from dataclasses import dataclass, replace

from structlog.testing import capture_logs
from tests.fuzz.codec_targets import Defect
from tests.fuzz.wire import PEER, RecordingTransport
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State

from muster_hub.listener import HttpAnswer, ListenerSettings, SocketDropCause, SocketPeer
from muster_hub.listener.gate import Gate
from muster_hub.listener.opening import Opening
from muster_hub.listener.state import ListenerState
from muster_hub.listener.wheel import Wheel
from muster_protocol.closes import CloseCode

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Protocol: muster.v1\r\n\r\n"
)
STEPS = (1, 2, 3, 7, 64, 500, 1_400, 5_000)
UPGRADED, STRANGER, HANGS_UP, LOST, PROXIED = 0x01, 0x02, 0x04, 0x08, 0x80
"""The first byte of an input says how the connection goes, by three more bits in which steps the rest arrives."""

MAX_MESSAGE_BYTES = 4_096
MAX_HEAD_BYTES = 9_000
"""Small, so that a fuzzer's inputs reach the limits; one line of a head has 8 KiB at most."""
LIFETIME_TICKS = 10 + 10 + 20 + 20 + 5 + 5
"""All deadlines one after the other: no silent connection may be there after that."""

ENOUGH = b"!"
"""How a message begins on which the handler closes."""

SETTINGS = ListenerSettings(
    frame_rate=None,
    byte_rate=None,
    max_message_bytes=MAX_MESSAGE_BYTES,
    max_head_bytes=MAX_HEAD_BYTES,
)
BEHIND_A_PROXY = replace(SETTINGS, trusted_proxies=(ipaddress.ip_network(PEER[0]),))
_ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) [A-Za-z -]+\r\n((?:[A-Za-z-]+: [\x20-\x7e]*\r\n)+)\r\n")
_LENGTH = re.compile(rb"Content-Length: (\d+)\r\n")
_STATUSES = {101, 200, 400, 403, 404, 405, 408, 414, 426, 431, 505}
_CLOSE_CODES = {1002, 1007, 1009, *CloseCode}


@dataclass
class FuzzEcho:
    """Sends back what it gets, keeps it, and closes when it has had enough."""

    authenticates: bool
    peer: SocketPeer | None = None
    messages: tuple[bytes, ...] = ()
    closed_it: bool = False
    cause: SocketDropCause | None = None

    def opened(self, peer: SocketPeer) -> None:
        self.peer = peer
        if self.authenticates:
            peer.authenticated()

    def message(self, data: bytes) -> None:
        if self.peer is None or self.cause is not None:
            raise Defect("a message outside of the connection")
        if self.closed_it:
            raise Defect("a message after the handler closed")
        self.messages += (data,)
        self.peer.send(data)
        if data.startswith(ENOUGH):
            self.closed_it = True
            self.peer.close(CloseCode.INTERNAL, "enough")

    def closed(self, cause: SocketDropCause) -> None:
        if self.peer is None or self.cause is not None:
            raise Defect("closed twice, or never opened")
        self.cause = cause


@dataclass(frozen=True)
class ConnectionOutcome:
    """What one life of a connection came to."""

    status: int | None
    codes: tuple[int, ...]
    messages: tuple[bytes, ...]


def listener(data: bytes) -> str:
    """Serve one connection twice, its bytes at once and in steps; both lives come to the same."""
    flags, stream = (data[0] if data else 0), data[1:]
    if flags & UPGRADED:
        stream = UPGRADE + stream
    with capture_logs() as logs:
        whole = _live(flags, [stream])
        step = STEPS[(flags >> 4) % len(STEPS)]
        stepped = _live(flags, [stream[at : at + step] for at in range(0, len(stream), step)])
    if (whole.status, whole.messages) != (stepped.status, stepped.messages):
        raise Defect(f"at once {whole.status}, {len(whole.messages)} messages; in steps {stepped.status}")
    failures = [entry for entry in logs if entry["log_level"] == "error"]
    if failures:
        raise Defect(f"logged as our own failure: {failures}")
    return f"{whole.status} {whole.codes}"


def _live(flags: int, chunks: list[bytes]) -> ConnectionOutcome:
    handlers: list[FuzzEcho] = []
    settings = BEHIND_A_PROXY if flags & PROXIED else SETTINGS
    room = ListenerState(settings, "muster.v1", lambda: _met(handlers, flags), _health, Gate(settings), Wheel(1.0))
    wire = RecordingTransport(Opening(room))
    wire.protocol.connection_made(wire)
    for chunk in chunks:
        if not wire.ended:
            wire.protocol.data_received(chunk)
    _end(flags, room, wire)
    _check_left(room, handlers)
    return _outcome(bytes(wire.written), handlers)


def _met(handlers: list[FuzzEcho], flags: int) -> FuzzEcho:
    handlers.append(FuzzEcho(authenticates=not flags & STRANGER))
    return handlers[-1]


def _health(path: str) -> HttpAnswer:
    return HttpAnswer(200, path.encode())


def _end(flags: int, room: ListenerState, wire: RecordingTransport) -> None:
    if flags & LOST:
        wire.protocol.connection_lost(ConnectionResetError())
        return
    if flags & HANGS_UP and not wire.ended and not wire.protocol.eof_received():
        wire.ended = True  # as a transport does where the protocol does not ask to keep its half open
    for _ in range(LIFETIME_TICKS):
        if wire.ended:
            break
        room.wheel.turn()
    if not wire.ended:
        raise Defect("silent, and still there")
    wire.protocol.connection_lost(None)


def _check_left(room: ListenerState, handlers: list[FuzzEcho]) -> None:
    if room.gate.inside or room.gate._nearby or room.gate._unauthenticated or room.gate._refused:
        raise Defect("counted and never counted out")
    if room.openings or room.connections or room.wheel._slots:
        raise Defect("gone, and still on a list")
    if any(handler.cause is None for handler in handlers):
        raise Defect("the handler never heard of the end")


def _outcome(written: bytes, handlers: list[FuzzEcho]) -> ConnectionOutcome:
    if not written:
        return ConnectionOutcome(None, (), ())
    head = _ANSWER.match(written)
    if head is None or int(head[1]) not in _STATUSES:
        raise Defect(f"not an answer in HTTP: {written[:200]!r}")
    status, rest = int(head[1]), written[head.end() :]
    if status != 101:
        length = _LENGTH.search(head[2])
        if handlers or length is None or len(rest) not in {0, int(length[1])}:
            raise Defect("an answer of another length than it says")
        return ConnectionOutcome(status, (), ())
    return ConnectionOutcome(status, _close_codes(rest), handlers[0].messages)


def _close_codes(written: bytes) -> tuple[int, ...]:
    """Read the hub's frames as a client does, and return the codes of its close frame, if there is one."""
    reader = Protocol(Side.CLIENT, state=State.OPEN, max_size=None)
    reader.receive_data(written)
    frames = [event for event in reader.events_received() if isinstance(event, Frame)]
    reader.parser.close()
    if reader.parser_exc is not None and not isinstance(reader.parser_exc, EOFError):
        raise Defect("frames against the rules") from reader.parser_exc
    closes = [int.from_bytes(frame.data[:2]) for frame in frames if frame.opcode is Opcode.CLOSE and frame.data]
    said_by_peer = {code for code in closes if 1000 <= code <= 1014 or 3000 <= code <= 4999}  # a close is echoed
    if len(closes) > 1 or not set(closes) <= _CLOSE_CODES | said_by_peer:
        raise Defect(f"closed with {closes}")
    return tuple(closes)
