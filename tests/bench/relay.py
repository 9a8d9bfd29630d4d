"""The floor under everything: a relay that does nothing but relay, on the same WebSocket core and the same loop.

A process of its own. Connections pair up in the order in which they come; what one sends goes to the other. No
identity, no limits, no keep-alive: what a WebSocket costs before anything is meant by it.
"""

import asyncio
import json
import ssl
import sys

import uvloop
from typing_extensions import override
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import Protocol, Side, State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

SUBPROTOCOL = Subprotocol("muster.v1")


class Relayed(asyncio.Protocol):
    """One connection, and the one that it is paired with."""

    __slots__ = ("_opening", "_single", "frames", "other", "transport")

    transport: asyncio.Transport

    def __init__(self, single: "list[Relayed]") -> None:
        self._single = single
        self._opening: ServerProtocol | None = ServerProtocol(subprotocols=[SUBPROTOCOL])
        self.frames: Protocol | None = None
        self.other: Relayed | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment] # a stream's transport, here as in all of asyncio
        if self._single:
            self.other = self._single.pop()
            self.other.other = self
        else:
            self._single.append(self)

    @override
    def data_received(self, data: bytes) -> None:
        if self._opening is not None:
            self._open(self._opening, data)
            return
        if self.frames is None:
            return
        self.frames.receive_data(data)
        for event in self.frames.events_received():
            if isinstance(event, Frame) and event.opcode is Opcode.BINARY and self.other is not None:
                self.other.relay(bytes(event.data))

    def relay(self, data: bytes) -> None:
        """Send a message on."""
        if self.frames is not None:
            self.frames.send_binary(data)
            self.transport.writelines(self.frames.data_to_send())

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.other = None
        if self in self._single:
            self._single.remove(self)

    def _open(self, opening: ServerProtocol, data: bytes) -> None:
        opening.receive_data(data)
        for event in opening.events_received():
            if isinstance(event, Request):
                opening.send_response(opening.accept(event))
                self.transport.writelines(opening.data_to_send())
                self._opening = None
                self.frames = Protocol(Side.SERVER, state=State.OPEN, max_size=64 * 1024)


async def _serve(tls: ssl.SSLContext | None) -> None:
    single: list[Relayed] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Relayed(single), "127.0.0.1", 0, ssl=tls, backlog=1024)
    scheme = "ws" if tls is None else "wss"
    sys.stdout.write(json.dumps({"url": f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"}) + "\n")
    sys.stdout.flush()
    await server.serve_forever()


def main(*certificate: str) -> None:
    """Serve until a signal ends the process; with a certificate and its key, over TLS."""
    tls = None
    if certificate:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(*certificate)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(tls))


if __name__ == "__main__":
    main(*sys.argv[1:])
