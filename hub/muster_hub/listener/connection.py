"""One WebSocket connection: bytes to messages and back, its deadlines, its end."""

import asyncio
import random
import time
from enum import Enum, IntFlag, auto

import structlog
from typing_extensions import override
from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Frame, Opcode
from websockets.protocol import Event, Protocol, Side, State

from muster_hub.listener.binary_frame import header
from muster_hub.listener.handshake import QUIET
from muster_hub.listener.heartbeat import Heartbeat
from muster_hub.listener.intake import Intake, IntakeVerdict, weight
from muster_hub.listener.peer import Handler, SocketDropCause
from muster_hub.listener.settings import UNREAD_BYTES
from muster_hub.listener.state import ListenerState
from muster_hub.telemetry.faults import fault_fields
from muster_protocol.closes import CloseCode

MAX_REASON_BYTES = 123
"""Bytes of a close frame that are left for its reason (RFC 6455, 5.5)."""

SLICE_BYTES = 1024
"""How much of one read is parsed before it is charged: a read of a flood can hold forty thousand frames."""

PING_SPREAD = 0.25
"""The random part of the keep-alive interval, so that many peers are not pinged at once."""

_PEER_FAULTS = (ProtocolError, PayloadTooBig, UnicodeDecodeError, EOFError)

_log = structlog.get_logger(__name__)


class _SocketPhase(Enum):
    UNAUTHENTICATED = auto()
    ESTABLISHED = auto()
    CLOSING = auto()


class _Pause(IntFlag):
    NONE = 0
    HANDLER = 1
    RATE = 2


class WebSocketConnection(asyncio.Protocol):
    """The ``SocketPeer`` that a handler gets, and the asyncio protocol behind it; they are one object to stay small.

    There is no task and no timer of its own: everything happens in a call from the transport, the handler or the wheel.
    """

    __slots__ = (
        "_cause",
        "_deadline_tick",
        "_frames",
        "_handler",
        "_heard",
        "_heartbeat",
        "_intake",
        "_partial",
        "_pauses",
        "_phase",
        "_placed",
        "_proven",
        "_state",
        "_transport",
        "address",
        "due_tick",
        "near",
    )

    def __init__(self, state: ListenerState, transport: asyncio.Transport, address: str, near: str | None) -> None:
        settings = state.settings
        self._state = state
        self._transport = transport
        self.near = near
        # The base of ServerProtocol, without its handshake, which would keep the request in memory.
        self._frames = Protocol(Side.SERVER, state=State.OPEN, max_size=settings.max_message_bytes, logger=QUIET)
        self._intake = Intake(settings.frame_rate, settings.byte_rate, time.monotonic())
        self._heartbeat = Heartbeat(state.wheel.tick)
        self._handler: Handler | None = None
        self._phase = _SocketPhase.UNAUTHENTICATED
        self._heard = False
        self._placed = False
        self._proven = False
        self._cause: SocketDropCause | None = None
        self._partial: bytearray | None = None
        self._pauses = _Pause.NONE
        self._deadline_tick = 0
        self.address = address
        self.due_tick: int | None = None

    def start(self, rest: bytes) -> None:
        """Start, with the bytes that followed the handshake."""
        self._state.add(self)
        # Above the high mark the transport calls pause_writing: no other bookkeeping of what waits is needed.
        self._transport.set_write_buffer_limits(high=self._state.settings.unsent_limit_bytes)
        self._arm(self._state.settings.auth_deadline_s)
        try:
            self._handler = self._state.new_handler()
            self._handler.opened(self)
        except Exception as exc:  # noqa: BLE001 - the connection ends, and the log says why
            self._handler_failed(exc, "opened")
        if rest:
            self.data_received(rest)

    # The handler calls these; peer.py documents them.

    @property
    def closing(self) -> bool:
        """Whether the connection has begun to close."""
        return self._phase is _SocketPhase.CLOSING or self._frames.state is not State.OPEN

    @property
    def behind(self) -> bool:
        """Whether more than UNREAD_BYTES wait for the peer."""
        return self._transport.get_write_buffer_size() > UNREAD_BYTES

    @property
    def ping_rtt_ms(self) -> float | None:
        """The round trip of the last answered ping."""
        return self._heartbeat.rtt_ms

    def send(self, data: bytes) -> None:
        """Send one binary message, unless ``closing``."""
        if not self.closing:
            self._flush()  # first, a pong to an earlier ping
            self._transport.writelines((header(len(data)), data))

    def close(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake, unless ``closing``; raises ``ValueError`` if the reason is too long."""
        if len(reason.encode()) > MAX_REASON_BYTES:
            raise ValueError(f"a close reason has at most {MAX_REASON_BYTES} bytes")
        if self._phase is _SocketPhase.CLOSING:
            return
        if self._frames.state is State.OPEN:  # else the peer closed it, later in the read that is being served
            self._frames.send_close(code, reason)
        self._wind_down()

    def charge(self, units: float) -> int:
        """Take units of the work that unauthenticated peers of this address may cause."""
        return self._state.gate.charge(self.near, units, time.monotonic())

    def take_place(self) -> bool:
        """Take a place among the authenticated peers of this address."""
        self._placed = self._placed or self._state.gate.take_place(self.near)
        return self._placed

    def authenticated(self) -> None:
        """End the limits and the deadline of strangers, and start the keep-alive."""
        if self._phase is not _SocketPhase.UNAUTHENTICATED:
            return
        self._phase = _SocketPhase.ESTABLISHED
        self._proven = True
        self._state.gate.authenticated(self.near, self)
        self._arm(self._interval_s())

    def pause(self) -> None:
        """Stop reading."""
        if not self.closing:
            self._hold(_Pause.HANDLER)

    def resume(self) -> None:
        """Resume reading."""
        self._release(_Pause.HANDLER)

    # The transport calls these.

    @override
    def data_received(self, data: bytes) -> None:
        self._heartbeat.heard_tick = self._state.wheel.tick
        told_to_stop = self._phase is _SocketPhase.CLOSING
        for start in range(0, len(data), SLICE_BYTES):
            chunk = data if len(data) <= SLICE_BYTES else data[start : start + SLICE_BYTES]
            verdict = self._receive(chunk, little=len(data) < SLICE_BYTES)
            if told_to_stop and verdict is IntakeVerdict.ABUSED:
                self.abort()  # it keeps sending
                return
        self._flush()

    @override
    def eof_received(self) -> None:
        self._frames.receive_eof()
        if self._phase is not _SocketPhase.CLOSING:
            self._wind_down()

    @override
    def pause_writing(self) -> None:
        if self.closing:
            return
        _log.info("slow_reader_closed", address=self.address, waiting_bytes=self._transport.get_write_buffer_size())
        self.close(CloseCode.SLOW_READER, "too much is waiting to be read")

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._phase = _SocketPhase.CLOSING
        self._state.wheel.drop(self)
        if self._proven:
            self._state.gate.leave()
        else:
            self._state.gate.leave_unauthenticated(self.near, self)
        if self._placed:
            self._state.gate.give_back_place(self.near)
        # The parser, the protocol and a fault refer to each other, and the fault to the bytes that caused it. Cutting
        # these references frees all of it now.
        self._frames.parser.close()
        self._frames.parser_exc = None
        self._tell_closed()
        self._state.discard(self)

    # The wheel calls this, and the listener at its end.

    def on_time(self) -> None:
        """Act on the deadline: of the rate limit, the closing handshake, the authentication or the keep-alive."""
        if self._pauses & _Pause.RATE and self._intake.paid(time.monotonic()):
            self._release(_Pause.RATE)
        if self._state.wheel.tick < self._deadline_tick:
            self._schedule()
        elif self._phase is _SocketPhase.CLOSING:
            self.abort()
        elif self._phase is _SocketPhase.UNAUTHENTICATED:
            self._time_out(CloseCode.HANDSHAKE_TIMEOUT, "not authenticated in time")
        else:
            self._keep_alive()

    @property
    def waits_for_peer(self) -> bool:
        """Whether the peer has sent no message yet, or has not ended a connection that is closing."""
        return not self._heard or self._phase is _SocketPhase.CLOSING

    def abort(self) -> None:
        """Reset the socket."""
        self._transport.abort()

    # Receiving.

    def _receive(self, data: bytes, *, little: bool) -> IntakeVerdict:
        self._frames.receive_data(data)
        events = self._frames.events_received()
        verdict = self._intake.charge(weight(events, little=little), len(data), time.monotonic())
        if self._phase is not _SocketPhase.CLOSING:
            self._heed(verdict)
            self._take_all(events)
        elif verdict is IntakeVerdict.ABUSED:
            self._frames.fail(CloseCode.RATE_LIMITED)  # only its close frame was still waited for
        return verdict

    def _take_all(self, events: list[Event]) -> None:
        for event in events:
            if self._phase is _SocketPhase.CLOSING:
                return
            if isinstance(event, Frame):  # always, after the handshake
                self._take(event)
                event.data = b""  # the parser keeps its last frame until the next one: not with its payload
        if self._frames.state is not State.OPEN and self._phase is not _SocketPhase.CLOSING:
            self._ended_by_peer()

    def _take(self, frame: Frame) -> None:
        if frame.opcode is Opcode.BINARY and frame.fin:
            self._deliver(bytes(frame.data))
        elif frame.opcode is Opcode.BINARY:
            self._partial = bytearray(frame.data)
        elif frame.opcode is Opcode.CONT and self._partial is not None:
            self._partial += frame.data
            if frame.fin:
                whole, self._partial = bytes(self._partial), None
                self._deliver(whole)
        elif frame.opcode is Opcode.TEXT:
            self._fail(CloseCode.UNSUPPORTED_DATA, "binary messages only")
        elif frame.opcode is Opcode.PONG:
            self._heartbeat.pong(bytes(frame.data), time.monotonic())

    def _deliver(self, message: bytes) -> None:
        self._heard = True
        if self._handler is None:
            return
        try:
            self._handler.message(message)
        except Exception as exc:  # noqa: BLE001 - the connection ends, and the log says why
            self._handler_failed(exc, "message")

    def _heed(self, verdict: IntakeVerdict) -> None:
        if verdict is IntakeVerdict.OWING:
            self._hold(_Pause.RATE)
            self._schedule()
        elif verdict is IntakeVerdict.ABUSED:
            _log.info("rate_abused", address=self.address, proven=self._proven)
            self._fail(CloseCode.RATE_LIMITED, "far too much at once")

    def _hold(self, why: _Pause) -> None:
        if not self._pauses:
            self._transport.pause_reading()
        self._pauses |= why

    def _release(self, why: _Pause) -> None:
        if not self._pauses & why:
            return
        self._pauses &= ~why
        if not self._pauses:
            self._heartbeat.heard_tick = self._state.wheel.tick  # the peer was silent because we did not read
            self._transport.resume_reading()

    # Sending.

    def _flush(self) -> None:
        for chunk in self._frames.data_to_send():
            if chunk:
                self._transport.write(chunk)
            else:
                self._end_writing()

    def _end_writing(self) -> None:
        # After both close frames nothing more may come. After only ours the peer may still send, and closing a socket
        # with unread bytes resets it and loses our close frame: so close our half, and read until the peer closes too.
        if self._frames.close_rcvd is None and self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    # Keeping alive.

    def _interval_s(self) -> float:
        spread = PING_SPREAD * random.random()  # noqa: S311 - to spread the pings, not to hide anything
        return self._state.settings.keepalive_interval_s * (1 - spread)

    def _keep_alive(self) -> None:
        wheel = self._state.wheel
        if self._pauses:
            self._heartbeat.heard_tick = wheel.tick  # a peer that we do not read from cannot be heard
        if self._heartbeat.unanswered():
            self._time_out(CloseCode.KEEPALIVE_TIMEOUT, "no sign of life")
            return
        quiet_tick = self._heartbeat.heard_tick + wheel.ticks(self._interval_s())
        if wheel.tick < quiet_tick:
            self._deadline_tick = quiet_tick
            self._schedule()
            return
        self._frames.send_ping(self._heartbeat.ping(wheel.tick, time.monotonic()))
        self._arm(self._state.settings.keepalive_timeout_s)
        self._flush()

    def _arm(self, delay_s: float) -> None:
        self._deadline_tick = self._state.wheel.tick + self._state.wheel.ticks(delay_s)
        self._schedule()

    def _schedule(self) -> None:
        # A peer in debt is checked on each turn; its other deadline stays as it is.
        wheel = self._state.wheel
        wheel.set(self, wheel.tick + 1 if self._pauses & _Pause.RATE else self._deadline_tick)

    # Ending.

    def _time_out(self, code: CloseCode, reason: str) -> None:
        self._cause = SocketDropCause.TIMEOUT
        self.close(code, reason)

    def _fail(self, code: CloseCode, reason: str) -> None:
        if self._phase is _SocketPhase.CLOSING:
            return
        if self._frames.state is State.OPEN:  # see close
            self._frames.fail(code, reason)  # unlike close, reads nothing more
        self._wind_down()

    def _ended_by_peer(self) -> None:
        fault = self._frames.parser_exc
        if isinstance(fault, _PEER_FAULTS):
            _log.info("frame_refused", address=self.address, error=type(fault).__name__)
        elif fault is not None:
            _log.error("parser_failed", address=self.address, **fault_fields(fault))
        self._wind_down()

    def _wind_down(self) -> None:
        self._phase = _SocketPhase.CLOSING
        self._partial = None
        self._release(_Pause.HANDLER | _Pause.RATE)  # the peer's close frame must be read
        self._arm(self._state.settings.close_timeout_s)
        self._flush()

    def _handler_failed(self, exc: Exception, during: str) -> None:
        _log.error("handler_failed", address=self.address, during=during, **fault_fields(exc))
        self.close(CloseCode.INTERNAL, "internal error")

    def _tell_closed(self) -> None:
        handler, self._handler = self._handler, None
        if handler is None:
            return
        said = self._frames.close_sent is not None or self._frames.close_rcvd is not None
        cause = self._cause or (SocketDropCause.CLOSED if said else SocketDropCause.LOST)
        try:
            handler.closed(cause)
        except Exception as exc:  # noqa: BLE001 - there is nothing left to close; the log says why
            _log.error("handler_failed", address=self.address, during="closed", **fault_fields(exc))
