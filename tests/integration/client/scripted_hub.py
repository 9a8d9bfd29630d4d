"""A hub that proves who it is, and then does what a test says: what no honest hub does can be seen by it alone."""

import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from muster_client.device.clock import now_ms
from muster_protocol.connect import PROTOCOL, HubHandshake, Limits
from muster_protocol.frames import Challenge, Push, Reply, Request, Watch, decode_frame, encode_frame
from muster_protocol.hub_keys import SignedHubRotation
from muster_protocol.ids import Nonce, TimeMs
from muster_protocol.keys import SigningKey
from muster_protocol.reasons import Reason

Play = Callable[[ServerConnection], Awaitable[None]]
"""What a hub does with a connection after its ``welcome``."""


def replying(reply_to: Callable[[Request], Reply], *, after_watch: Sequence[Push] = ()) -> Play:
    """Return a hub that replies so to each request, and sends these pushes after the reply to ``watch``."""

    async def play(connection: ServerConnection) -> None:
        async for message in connection:
            request = decode_frame(message if isinstance(message, bytes) else b"")
            assert isinstance(request, Request)
            await connection.send(encode_frame(reply_to(request)))
            for push in after_watch if isinstance(request, Watch) else ():
                await connection.send(encode_frame(push))

    return play


@asynccontextmanager
async def scripted_hub(
    port: int,
    play: Play,
    *,
    newest_serial: int = 0,
    changes: int = 0,
    at: TimeMs | None = None,
    key: SigningKey | None = None,
    standing: Reason | None = None,
    rotations: tuple[SignedHubRotation, ...] = (),
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[None]:
    """Welcome every device on this port, and leave the rest to ``play``.

    ``at`` None: the time is told as it is. ``key`` None: a fresh one.
    """
    scheme = "ws" if tls is None else "wss"
    key = key or SigningKey.from_secret(os.urandom(32))

    async def welcome(connection: ServerConnection) -> None:
        challenge = Challenge(
            nonce=Nonce(os.urandom(32)), hub_key=key.public, hub_rotations=rotations, protocol=PROTOCOL, at=TimeMs(0)
        )
        handshake = HubHandshake(key, challenge, frozenset({f"{scheme}://127.0.0.1:{port}"}))
        await connection.send(handshake.message)
        hello = await connection.recv(decode=False)
        await connection.send(
            handshake.welcome(
                handshake.on_hello(hello),
                connection=1,
                keep_alive_ms=20_000,
                limits=Limits(65_536, 15, 16, 256, 64),
                token=None,
                newest_serial=newest_serial,
                changes=changes,
                standing=standing,
                now=now_ms() if at is None else at,
            )
        )
        await play(connection)

    offered = [Subprotocol("muster.v1")]
    async with serve(welcome, "127.0.0.1", port, subprotocols=offered, compression=None, ssl=tls):
        yield
