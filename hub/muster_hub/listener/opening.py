"""A socket from its accept to the end of its HTTP request; a WebSocket is then handed on."""

import asyncio
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import cast

import structlog
from typing_extensions import override
from websockets.http11 import Request

from muster_hub.listener.connection import WebSocketConnection
from muster_hub.listener.forwarded import ForwardedError, forwarded_for
from muster_hub.listener.gate import AddressCount, neighbourhood
from muster_hub.listener.handshake import (
    RequestHead,
    answer_plain,
    busy,
    negotiate,
    refusal,
    serialize,
    wants_websocket,
)
from muster_hub.listener.ip_address import is_within
from muster_hub.listener.peer import HttpAnswer
from muster_hub.listener.proxy_header import ProxyHeaderError, read_proxy_header
from muster_hub.listener.settings import SOCKET
from muster_hub.listener.state import ListenerState
from muster_hub.telemetry.faults import fault_fields

MAX_LINGER_BYTES = 256 * 1024
"""Bytes that are read and discarded from a peer that keeps sending after its answer."""

_log = structlog.get_logger(__name__)


def peer_host(transport: asyncio.BaseTransport) -> str:
    """Return the peer's IP address, ``unix`` for a Unix socket, ``gone`` if the peer has left."""
    name = transport.get_extra_info("peername")
    if isinstance(name, tuple):
        return str(name[0])
    return "gone" if name is None else "unix"


class Opening(asyncio.Protocol):
    """Reads one request and answers it. It is dropped then, so that idle connections do not hold its memory."""

    __slots__ = (
        "_abort",
        "_address",
        "_counted",
        "_entry",
        "_first",
        "_handed_on",
        "_head",
        "_linger_bytes",
        "_near",
        "_state",
        "_transport",
        "due_tick",
    )

    _abort: Callable[[], None]
    _transport: asyncio.Transport

    def __init__(self, state: ListenerState) -> None:
        self._state = state
        self._head: RequestHead | None = RequestHead(state.settings.max_head_bytes)
        self._linger_bytes = MAX_LINGER_BYTES
        self._counted = False
        self._entry = AddressCount.DROPPED
        self._near: str | None = None
        self._address = ""
        self._handed_on = False  # by a trusted proxy that has not said for whom
        self._first: bytes | None = None  # the bytes of such a proxy, as long as they may be a PROXY header
        self.due_tick: int | None = None

    def count(self, transport: asyncio.BaseTransport, abort: Callable[[], None]) -> bool:
        """Count a socket that was accepted, before TLS or anything else; return False where it is to be reset.

        ``abort`` resets it. That of a trusted proxy is counted by itself until the proxy has said for whom it is.
        """
        self._abort = abort
        self._address = peer_host(transport)
        self._handed_on = is_within(self._address, self._state.settings.trusted_proxies)
        if not self._handed_on:
            return self._count_by_address()
        self._first = b""
        self._near = f"handed on by {self._address}"
        self._entry = self._state.gate.enter(self._near, self, limited=False)
        self._counted = self._entry is not AddressCount.DROPPED
        return self._counted

    def _count_by_address(self) -> bool:
        self._near = neighbourhood(self._address)
        settings = self._state.settings
        units = SOCKET if settings.tls is None else SOCKET + settings.tls_handshake()
        self._entry = self._state.gate.enter_paid(self._near, self, units, time.monotonic())
        self._counted = self._entry is not AddressCount.DROPPED
        return self._counted

    def uncount(self) -> None:
        """Stop counting the socket; once, however often it is called."""
        if not self._counted:
            return
        self._counted = False
        if self._entry is AddressCount.ADMITTED:
            self._state.gate.leave_unauthenticated(self._near, self)
        else:
            self._state.gate.leave_refused()

    @property
    def deadline_s(self) -> float:
        """The time that a counted socket has for its TLS handshake, and again for its request."""
        settings = self._state.settings
        return settings.refusal_deadline_s if self._entry is AddressCount.REFUSED else settings.handshake_deadline_s

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._abort = self._transport.abort
        if not self._counted and not self.count(transport, self._abort):
            self.abort()
            return
        self._state.openings.add(self)
        self._arm(self.deadline_s)

    @override
    def data_received(self, data: bytes) -> None:
        if self._head is None:
            self._throw_away(data)
            return
        rest = data if self._first is None else self._behind_proxy_header(data)
        if not rest or self._head is None:
            return
        outcome = self._head.feed(rest)
        if isinstance(outcome, Request):
            self._answer(outcome, self._head.rest())
        elif outcome is not None:
            self._reply(outcome)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_head()
        self._state.wheel.drop(self)
        self._state.openings.discard(self)
        self.uncount()

    def on_time(self) -> None:
        """Answer a slow sender with 408; reset one that was answered and is still there."""
        if self._head is None:
            self.abort()
        else:
            self._reply(refusal(HTTPStatus.REQUEST_TIMEOUT, "No complete request came in time."))

    @property
    def waits_for_peer(self) -> bool:
        """True: a request is answered as soon as it is complete."""
        return True

    def abort(self) -> None:
        """Reset the socket."""
        self._abort()

    def _behind_proxy_header(self, data: bytes) -> bytes:
        """Read the PROXY header, if there is one, and return what follows it; nothing as long as that is not known."""
        first = (self._first or b"") + data
        try:
            header = read_proxy_header(first)
        except ProxyHeaderError:
            self._reply(refusal(HTTPStatus.BAD_REQUEST, "This is not a valid PROXY header."))
            return b""
        if header is None:
            self._first = first
            return b""
        self._first = None
        if header.source is not None:
            self._address = header.source
            self._handed_on = is_within(header.source, self._state.settings.trusted_proxies)
            if not self._handed_on:
                self._count_anew()
        return first[header.size :]

    def _read_forwarded(self, request: Request) -> None:
        try:
            self._address = forwarded_for(self._address, request.headers, self._state.settings.trusted_proxies)
        except ForwardedError:
            # Not paid by the proxy: else a stranger's headers could spend what its health checks need.
            self._reply(refusal(HTTPStatus.BAD_REQUEST, "The proxy does not say whose connection this is."))
        else:
            self._handed_on = False
            self._count_anew()

    def _count_anew(self) -> None:
        """Count the socket for the address that the proxy has named, or reset it."""
        self.uncount()
        if self._count_by_address():
            self._arm(self.deadline_s)
        else:
            self._forget_head()
            self.abort()

    def _answer(self, request: Request, rest: bytes) -> None:
        if self._handed_on:
            self._read_forwarded(request)
        if self._head is None:
            return
        if not wants_websocket(request):
            self._reply(self._plain(request), with_body=request.method != "HEAD")
            return
        if self._entry is AddressCount.REFUSED or not self._state.accepting:
            self._reply(busy(self._state.settings.retry_after_s))
            return
        verdict = negotiate(request, self._state.settings, self._state.subprotocol)
        if isinstance(verdict, HttpAnswer):
            self._reply(verdict)
        else:
            self._transport.write(verdict.serialize())
            self._hand_on(rest)

    def _plain(self, request: Request) -> HttpAnswer:
        try:
            return answer_plain(request, self._state.http, self._state.settings.hosts)
        except Exception as exc:  # noqa: BLE001 - a fault behind /readyz is logged and still answered
            _log.error("http_answer_failed", address=self._address, **fault_fields(exc))
            return refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "This answer could not be made.")

    def _hand_on(self, rest: bytes) -> None:
        self._forget_head()
        self._state.wheel.drop(self)
        self._state.openings.discard(self)
        self._counted = False  # the connection stops the count at its own end
        connection = WebSocketConnection(self._state, self._transport, self._address, self._near)
        self._state.gate.hand_on(self._near, self, connection)
        self._transport.set_protocol(connection)
        connection.start(rest)

    def _reply(self, answer: HttpAnswer, *, with_body: bool = True) -> None:
        self._forget_head()
        self._transport.write(serialize(answer, with_body=with_body))
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()
        self._arm(self._state.settings.close_timeout_s)

    def _forget_head(self) -> None:
        if self._head is not None:
            self._head.close()
            self._head = None

    def _throw_away(self, data: bytes) -> None:
        # Closing a socket with unread bytes resets it, and the peer would miss the answer: so read on for a while.
        self._linger_bytes -= len(data)
        if self._linger_bytes < 0:
            self.abort()

    def _arm(self, delay_s: float) -> None:
        wheel = self._state.wheel
        wheel.set(self, wheel.tick + wheel.ticks(delay_s))
