"""What stands between a device and its hub: a little TCP proxy that can be as bad as real ones."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from muster_client.concurrency import companions

CHUNK_BYTES = 65_536


class Middlebox:
    """Forwards each connection to one port. With ``cut_after_s`` it hangs up on those that are idle for so long.

    ``greet`` may read the client's first words, as an HTTP or SOCKS proxy does, before anything is forwarded.
    """

    def __init__(self, target: int, *, cut_after_s: float | None = None, greet=None) -> None:
        self.target = target
        self.cut_after_s = cut_after_s
        self.cuts = 0
        self.opened = 0
        self.long_lived = asyncio.Event()
        """A connection lived for six times ``cut_after_s``, and there is still something said over it."""
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._greet = greet
        self._busy: set[asyncio.Task[None]] = set()
        self.port = 0

    def swallow(self) -> None:
        """Forward nothing any more, and close nothing: a cable that was pulled."""
        self._flowing.clear()

    def flow(self) -> None:
        """Forward again; connections from before stay dead, as behind a router that forgot them."""
        for task in self._busy:
            task.cancel()
        self._flowing.set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Middlebox"]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self
        for task in self._busy:
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        self._busy.add(asyncio.get_running_loop().create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = None
        try:
            await self._flowing.wait()
            if self._greet is not None:
                await self._greet(reader, writer)
            far, there = await asyncio.open_connection("127.0.0.1", self.target)
            began = asyncio.get_running_loop().time()
            async with asyncio.timeout(self.cut_after_s) as idle, companions() as both:
                both.start(self._pump(reader, there, began, idle))
                await self._pump(far, writer, began, idle)
        except TimeoutError:
            self.cuts += 1
        except OSError:
            # One end hung up; the other is told so below.
            pass
        finally:
            for one in (writer, there):
                if one is not None:
                    one.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, began: float, idle: asyncio.Timeout
    ) -> None:
        while data := await reader.read(CHUNK_BYTES):
            await self._flowing.wait()
            writer.write(data)
            await writer.drain()
            if self.cut_after_s is not None:
                now = asyncio.get_running_loop().time()
                idle.reschedule(now + self.cut_after_s)
                if now - began > 6 * self.cut_after_s:
                    self.long_lived.set()
        raise ConnectionResetError


async def http_connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as an HTTP proxy that lets everybody through to where it leads."""
    line = await reader.readline()
    while (await reader.readline()).strip():
        pass
    if not line.startswith(b"CONNECT hub.example.org:443 "):
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        raise ConnectionResetError
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")


async def http_refusal(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as an HTTP proxy that wants a password."""
    while (await reader.readline()).strip():
        pass
    writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()
    raise ConnectionResetError


async def socks5(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as a SOCKS 5 proxy without a password that looks up names itself."""
    version, count = await reader.readexactly(2)
    await reader.readexactly(count)
    writer.write(bytes([version, 0]))
    _, _, _, kind, length = await reader.readexactly(5)
    name = await reader.readexactly(length)
    port = int.from_bytes(await reader.readexactly(2))
    if (kind, name, port) != (3, b"hub.example.org", 443):
        raise ConnectionResetError
    writer.write(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
