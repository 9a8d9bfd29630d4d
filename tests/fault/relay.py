"""A way to the hub that can fall silent: nothing comes through any more, and neither end is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.fault.nodes import NodeProcess

READ_BYTES = 64 * 1024


class Relay:
    """Carries bytes both ways until it is ``cut``; both sockets stay open after that."""

    def __init__(self, node: NodeProcess) -> None:
        self._target = int(node.url.rpartition(":")[2])
        self._writers: list[asyncio.StreamWriter] = []
        self.url = ""
        self.cut = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers += [writer, far_writer]
        await asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(READ_BYTES):
                if not self.cut:
                    writer.write(data)
        except ConnectionError:
            return  # an end that is gone is no news to the other one: that is what the relay is for

    def end(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def relay(node: NodeProcess) -> AsyncIterator[Relay]:
    carries = Relay(node)
    async with await asyncio.start_server(carries.serve, "127.0.0.1", 0) as listening:
        carries.url = f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        try:
            yield carries
        finally:
            carries.end()
