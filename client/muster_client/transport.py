"""The WebSocket under a connection: the only module that knows the library."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ssl import SSLContext

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol

from muster_client.errors import HubUnreachable
from muster_protocol.codec import MAX_MESSAGE_BYTES

SUBPROTOCOL = Subprotocol("muster.v1")
KEEPALIVE_INTERVAL_S = 20
"""How often the hub is pinged, and how long it may take to answer."""
CLOSE_TIMEOUT_S = 2
MAX_UNREAD_MESSAGES = 64
"""Messages that wait unread before the socket is read no further."""
NORMAL_CLOSURE = 1000
ABNORMAL_CLOSURE = 1006

# The library logs handshakes at its own levels; what matters of them comes out of here as errors.
_quiet = logging.getLogger("muster.transport")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


class SocketClosed(HubUnreachable):
    """The connection ended. ``code`` is the close code that came, or 1006."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"the connection to the hub ended ({code})")


class Socket:
    """One open WebSocket of binary messages."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, data: bytes) -> None:
        """Send one message; raises ``SocketClosed``."""
        try:
            await self._connection.send(data)
        except ConnectionClosed as closed:
            raise _closed(closed) from None

    async def receive(self) -> bytes:
        """Wait for one message; raises ``SocketClosed``, also for a text message, which no hub sends."""
        try:
            data = await self._connection.recv(decode=False)
        except ConnectionClosed as closed:
            raise _closed(closed) from None
        return bytes(data)

    async def probe(self, timeout_s: float) -> None:
        """Ask whether the other side is there now; raises ``SocketClosed`` where it does not answer in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await (await self._connection.ping())
        except ConnectionClosed as closed:
            raise _closed(closed) from None
        except TimeoutError:
            raise SocketClosed(ABNORMAL_CLOSURE) from None

    async def close(self) -> None:
        """Close; within ``CLOSE_TIMEOUT_S`` also where the other side is gone."""
        await self._connection.close(NORMAL_CLOSURE)


def _closed(error: ConnectionClosed) -> SocketClosed:
    return SocketClosed(ABNORMAL_CLOSURE if error.rcvd is None else error.rcvd.code)


@asynccontextmanager
async def open_socket(url: str, *, timeout_s: float, ssl: SSLContext | None) -> AsyncIterator[Socket]:
    """Connect, and close with the block; raises ``HubUnreachable`` with a sentence for people.

    ``ssl`` None trusts what the system trusts.
    """
    secured = {"ssl": ssl} if ssl is not None and url.startswith("wss:") else {}
    try:
        connection = await connect(
            url,
            subprotocols=[SUBPROTOCOL],
            compression=None,
            user_agent_header=None,
            open_timeout=timeout_s,
            ping_interval=KEEPALIVE_INTERVAL_S,
            ping_timeout=KEEPALIVE_INTERVAL_S,
            close_timeout=CLOSE_TIMEOUT_S,
            max_size=MAX_MESSAGE_BYTES,
            max_queue=MAX_UNREAD_MESSAGES,
            logger=_quiet,
            **secured,  # type: ignore[arg-type]
        )
    except (OSError, InvalidHandshake, InvalidURI, EOFError) as error:
        raise HubUnreachable(f"no connection to {url}: {_short(error)}") from error
    try:
        yield Socket(connection)
    finally:
        await connection.close(NORMAL_CLOSURE)


def _short(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
