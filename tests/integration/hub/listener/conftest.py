"""A real listener on a real socket, on both event loops, with deadlines short enough to wait for."""

import asyncio
import base64
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import pytest_asyncio
import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.frames import Frame, Opcode

from muster_hub.listener import HttpAnswer, Listener, ListenerSettings, SocketDropCause, SocketPeer

PATIENCE_S = 20.0
"""After this a wait for an event fails its test; no test passes by it."""

QUICK = ListenerSettings(sweep_interval_s=0.01, close_timeout_s=0.5)


def pytest_asyncio_loop_factories(config: Any, item: Any) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


class EchoService:
    """Sends back what it gets, and keeps what happened for the test to await."""

    def __init__(self, *, authenticates: bool = True) -> None:
        self._authenticates = authenticates
        self.peer: SocketPeer | None = None
        self.messages: list[bytes] = []
        self.ended: asyncio.Future[SocketDropCause] = asyncio.get_running_loop().create_future()

    def opened(self, peer: SocketPeer) -> None:
        self.peer = peer
        if self._authenticates:
            peer.authenticated()

    def message(self, data: bytes) -> None:
        self.messages.append(data)
        assert self.peer is not None
        self.peer.send(data)

    def closed(self, cause: SocketDropCause) -> None:
        self.ended.set_result(cause)

    async def cause(self) -> SocketDropCause:
        """Wait for the end and say how it came."""
        async with asyncio.timeout(PATIENCE_S):
            return await asyncio.shield(self.ended)


@dataclass
class Raw:
    """A peer made of bytes, which does nothing that a test does not make it do."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self, text: str) -> bytes:
        """Send a request with lines ended by LF, and return the head of the answer."""
        self.writer.write(text.replace("\n", "\r\n").encode())
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def upgrade(self, *headers: str, behind: bytes = b"") -> bytes:
        """Ask for WebSocket, with ``behind`` in the same segment as the request."""
        key = base64.b64encode(b"0123456789abcdef").decode()
        lines = ("GET / HTTP/1.1", "Host: hub", "Connection: Upgrade", "Upgrade: websocket", *headers)
        head = "\r\n".join((*lines, "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}", "", ""))
        self.writer.write(head.encode() + behind)
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.readuntil(b"\r\n\r\n")

    def send(self, opcode: Opcode, data: bytes, *, fin: bool = True) -> None:
        self.writer.write(Frame(opcode, data, fin).serialize(mask=True))

    async def frame(self) -> Frame:
        """Read one frame of the hub; raises IncompleteReadError at the end of the stream."""
        async with asyncio.timeout(PATIENCE_S):
            first, length = await self.reader.readexactly(2)
            if length == 126:
                (length,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
            return Frame(Opcode(first & 0x0F), await self.reader.readexactly(length), bool(first & 0x80))

    async def close_code(self) -> int:
        """Read up to the close frame and return its code."""
        while True:
            frame = await self.frame()
            if frame.opcode is Opcode.CLOSE:
                return int.from_bytes(frame.data[:2])

    async def rest(self) -> bytes:
        """Read to the end of the stream."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.read()

    async def talk_on(self, data: bytes) -> None:
        """Write for ever; raises ConnectionError once the hub has reset the socket."""
        while True:
            self.writer.write(data)
            await self.writer.drain()
            await asyncio.sleep(0)

    def hang_up(self) -> None:
        """End without a word."""
        self.writer.transport.abort()

    def reset(self) -> None:
        """End with RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@contextmanager
def closed_on_error(sock: socket.socket) -> Iterator[None]:
    """Leave no open socket behind a connect that failed."""
    try:
        yield
    except OSError:
        sock.close()
        raise


@dataclass
class House:
    """Listeners, clients and raw peers of one test, all gone at its end."""

    stack: AsyncExitStack
    handlers: list[Any] = field(default_factory=list)

    async def listen(
        self,
        new_handler: Callable[[], Any] = EchoService,
        *,
        http: Callable[[str], HttpAnswer] = lambda path: HttpAnswer(200, f"{path} is well\n".encode()),
        subprotocol: str | None = "muster.v1",
        **settings: Any,
    ) -> Listener:
        return await self.stack.enter_async_context(
            Listener(replace(QUICK, **settings), self.recorded(new_handler), http, subprotocol)
        )

    def recorded(self, new_handler: Callable[[], Any] = EchoService) -> Callable[[], Any]:
        """Return ``new_handler``, with each handler that it makes kept in ``handlers``."""

        def make() -> Any:
            self.handlers.append(new_handler())
            return self.handlers[-1]

        return make

    async def client(self, listener: Listener, **options: Any) -> ClientConnection:
        options = {"subprotocols": ["muster.v1"], "compression": None, "proxy": None, "max_size": None} | options
        return await self.stack.enter_async_context(connect(f"ws://127.0.0.1:{listener.port}", **options))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds for which the listener has no event."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110 - there is no event, and none is needed outside tests
                await asyncio.sleep(0)

    async def raw(self, listener: Listener, *, receive_buffer: int | None = None) -> Raw:
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        with closed_on_error(sock):
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", listener.port))
        raw = Raw(*await asyncio.open_connection(sock=sock, limit=4096 if receive_buffer else 2**16))
        self.stack.callback(raw.hang_up)
        return raw

    async def raw_websocket(self, listener: Listener, **options: Any) -> Raw:
        raw = await self.raw(listener, **options)
        answer = await raw.upgrade("Sec-WebSocket-Protocol: muster.v1")
        assert answer.startswith(b"HTTP/1.1 101 "), answer
        return raw


def _cancel_all() -> None:
    """Fail a test that would hang: all that it waits for ends with CancelledError."""
    for task in asyncio.all_tasks():
        task.cancel()


@pytest_asyncio.fixture
async def house() -> AsyncIterator[House]:
    watch = asyncio.get_running_loop().call_later(2 * PATIENCE_S, _cancel_all)
    async with AsyncExitStack() as stack:
        yield House(stack)
    watch.cancel()


@pytest.fixture
def stranger() -> Callable[[], EchoService]:
    """A handler whose peer never proves anything."""
    return lambda: EchoService(authenticates=False)
