"""The other end of a connection, as light as it can be, so that it is not what is measured."""

import asyncio
import ssl
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct
from typing_extensions import override
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

SUBPROTOCOL = Subprotocol("muster.v1")


class Head(Struct, tag=False):
    """What the generator reads of a message: its type, the request that it answers, the push that it is."""

    t: str
    re: int = 0
    push: str | None = None
    reason: str = ""


_read_head = msgspec.msgpack.Decoder(Head).decode


class End(asyncio.Protocol):
    """A client's connection: raw messages, or replies and pushes once ``sort`` was called."""

    transport: asyncio.Transport

    def __init__(self, url: str) -> None:
        self._frames = ClientProtocol(parse_uri(url), subprotocols=[SUBPROTOCOL], max_size=64 * 1024)
        self._loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._messages: deque[bytes] = deque()
        self._waits: asyncio.Future[None] | None = None
        self._sorting = False
        self._replies: dict[int, asyncio.Future[str]] = {}
        self._pushes: defaultdict[str, deque[str | None]] = defaultdict(deque)
        self._wanted: dict[str, asyncio.Future[None]] = {}
        self._seen: set[str | None] = set()
        self._number = 0

    # -- the transport's side ---------------------------------------------------------------------------------------

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment] # a stream's transport, here as in all of asyncio
        self._frames.send_request(self._frames.connect())
        self._flush()

    @override
    def data_received(self, data: bytes) -> None:
        self._frames.receive_data(data)
        for event in self._frames.events_received():
            if isinstance(event, Response):
                if self._frames.handshake_exc is not None:
                    self.opened.set_exception(self._frames.handshake_exc)
                else:
                    self.opened.set_result(None)
            elif isinstance(event, Frame) and event.opcode is Opcode.BINARY:
                self._take(bytes(event.data))
        self._flush()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("ended in the handshake"))
        self._frames.parser.close()
        self.ended.set_result(None)

    def _flush(self) -> None:
        for chunk in self._frames.data_to_send():
            if chunk:
                self.transport.write(chunk)

    def _take(self, data: bytes) -> None:
        if not self._sorting:
            self._messages.append(data)
            if self._waits is not None and not self._waits.done():
                self._waits.set_result(None)
            return
        head = _read_head(data)
        if head.t == "error":
            self._fail(head.reason)
            return
        if head.re:
            answer = self._replies.pop(head.re)
            if not answer.done():
                answer.set_result(head.t)
            return
        if head.push is not None and head.push in self._seen:
            return  # the hub may deliver what is not acknowledged yet more than once
        self._seen.add(head.push)
        self._pushes[head.t].append(head.push)
        wanted = self._wanted.pop(head.t, None)
        if wanted is not None and not wanted.done():
            wanted.set_result(None)

    def _fail(self, reason: str) -> None:
        """Fail all that waits here: it will not come as planned."""
        waits: list[asyncio.Future[Any]] = [*self._replies.values(), *self._wanted.values()]
        for waiting in waits:
            if not waiting.done():
                waiting.set_exception(RuntimeError(f"the hub refused a request: {reason}"))

    # -- the generator's side ---------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send a message."""
        self._frames.send_binary(data)
        self._flush()

    async def message(self) -> bytes:
        """Wait for the next message."""
        if not self._messages:
            self._waits = self._loop.create_future()
            await self._waits
        return self._messages.popleft()

    def sort(self) -> None:
        """Read what comes from now on as replies and pushes."""
        self._sorting = True

    def next_number(self) -> int:
        """Return the number of the next request."""
        self._number += 1
        return self._number

    def ask(self, number: int, data: bytes) -> "asyncio.Future[str]":
        """Send a request; the future gets the type of its reply."""
        answer: asyncio.Future[str] = self._loop.create_future()
        self._replies[number] = answer
        self.send(data)
        return answer

    async def push(self, kind: str) -> str | None:
        """Wait for a push of a type; returns its id."""
        if not self._pushes[kind]:
            self._wanted[kind] = self._loop.create_future()
            await self._wanted[kind]
        return self._pushes[kind].popleft()


async def dial(url: str, tls: ssl.SSLContext | None = None) -> End:
    """Open a WebSocket connection."""
    parts = urlsplit(url)
    if parts.hostname is None or parts.port is None:
        raise ValueError(f"no host and port in {url}")
    loop = asyncio.get_running_loop()
    _, end = await loop.create_connection(lambda: End(url), parts.hostname, parts.port, ssl=tls)
    await end.opened
    return end


@asynccontextmanager
async def closing(ends: list[End]) -> AsyncIterator[list[End]]:
    """Close these ends after the body."""
    try:
        yield ends
    finally:
        for end in ends:
            end.transport.abort()
        await asyncio.gather(*(end.ended for end in ends))
