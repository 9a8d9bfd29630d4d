"""Peers of the hub made of bytes, which do nothing that a test does not make them do."""

import asyncio
import base64
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.integration.hub.listener.raw_frames import frame
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State

PATIENCE_S = 30.0
"""After this a wait for an event fails its test; no test passes by it."""
FEW_FILES = 1_024
"""What many systems let a process open at first; the hub is started so, and has to see to more by itself."""
KEY = base64.b64encode(b"0123456789abcdef").decode()
UPGRADE_LINES = ("Host: hub", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")


def upgrade(*headers: str, protocol: str = "muster.v1") -> bytes:
    """Return the request that begins a WebSocket, with more headers if need be."""
    lines = ("GET / HTTP/1.1", *UPGRADE_LINES, f"Sec-WebSocket-Key: {KEY}", f"Sec-WebSocket-Protocol: {protocol}")
    return "\r\n".join((*lines, *headers, "", "")).encode()


@dataclass(frozen=True)
class Ending:
    """How a WebSocket ended: the messages of the hub, its close code, None where it hung up without one."""

    messages: tuple[bytes, ...]
    code: int | None


@dataclass
class RawPeer:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    _ended: bool = False

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def message(self, data: bytes) -> None:
        self.writer.write(frame(Opcode.BINARY, data))

    async def head(self) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def to_the_end(self) -> bytes:
        """Read until the hub ends the connection; a reset is an end too."""
        read = bytearray()
        async with asyncio.timeout(PATIENCE_S):
            while data := await self._more():
                read += data
        return bytes(read)

    async def _more(self) -> bytes:
        """Read on; empty once the hub ended the connection.

        A stream raises a reset before it gives out what came before that, such as the close code.
        """
        try:
            return await self.reader.read(65_536)
        except ConnectionError:
            came_before = bytes(self.reader._buffer)  # type: ignore[attr-defined] # nothing public has it
            self.reader._buffer.clear()  # type: ignore[attr-defined]
            return came_before

    async def ending(self) -> Ending:
        """Read frames until the hub ends the connection, and answer its close as a good peer does."""
        frames = Protocol(Side.CLIENT, state=State.OPEN, max_size=None)
        got: list[Frame] = []
        async with asyncio.timeout(PATIENCE_S):
            while data := await self._more():
                frames.receive_data(data)
                got += [event for event in frames.events_received() if isinstance(event, Frame)]
                self._answer(frames.data_to_send())
        frames.parser.close()
        codes = [int.from_bytes(one.data[:2]) for one in got if one.opcode is Opcode.CLOSE]
        messages = tuple(bytes(one.data) for one in got if one.opcode is Opcode.BINARY)
        return Ending(messages, codes[0] if codes else None)

    def _answer(self, chunks: list[bytes]) -> None:
        if not self._ended:
            self.writer.write(b"".join(chunks))

    async def message_of_hub(self) -> bytes:
        """Read one message."""
        async with asyncio.timeout(PATIENCE_S):
            first, size = await self.reader.readexactly(2)
            if size == 126:
                size = int.from_bytes(await self.reader.readexactly(2))
            data = await self.reader.readexactly(size)
        assert first == 0x82
        return data

    def half_close(self) -> None:
        self._ended = True
        self.writer.write_eof()

    def reset(self) -> None:
        """End with RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@dataclass(frozen=True)
class Door:
    """Where the hub listens."""

    host: str
    port: int

    @asynccontextmanager
    async def peer(self, source: str = "127.0.0.1") -> AsyncIterator[RawPeer]:
        """Connect from an address of this machine."""
        reader, writer = await asyncio.open_connection(self.host, self.port, local_addr=(source, 0))
        try:
            yield RawPeer(reader, writer)
        finally:
            writer.transport.abort()

    @asynccontextmanager
    async def websocket(self, source: str = "127.0.0.1") -> AsyncIterator[RawPeer]:
        """Connect, and come as far as anybody may without proof of who it is: the challenge is on its way."""
        async with self.peer(source) as peer:
            peer.send(upgrade())
            answer = await peer.head()
            assert answer.startswith(b"HTTP/1.1 101 "), answer
            yield peer

    async def answer(self, request: bytes, source: str = "127.0.0.1") -> bytes:
        """Send bytes and return all that comes back until the hub ends the connection."""
        async with self.peer(source) as peer:
            peer.send(request)
            return await peer.to_the_end()
