"""The WebSocket under a connection; the only module of the client that imports the ``websockets`` library."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ssl import SSLCertVerificationError, SSLContext, SSLObject, cert_time_to_seconds
from typing import Any, cast

from msgspec import Struct
from typing_extensions import override
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidProxy,
    InvalidStatus,
    InvalidURI,
    ProxyError,
)
from websockets.typing import Subprotocol

from muster_client.connection.http_answer import from_answer
from muster_client.connection.hub_key_tls import HubKeyTls, NotVouchedError, NoVoucherError
from muster_client.connection.os_errors import from_os_error
from muster_client.connection.proxy import proxy_for, shown
from muster_client.connection.scheme_probe import speaks_plain_http, speaks_tls
from muster_client.connection.tls import TlsWays
from muster_client.errors import HubKeyChanged, HubUnreachable, Trouble
from muster_client.visible import visible
from muster_protocol.codec import MAX_MESSAGE_BYTES
from muster_protocol.connect import SUBPROTOCOL

CLOSE_TIMEOUT_S = 2
MAX_UNREAD_MESSAGES = 64
"""Messages that may wait unread before the socket is paused."""
NORMAL_CLOSURE = 1000
ABNORMAL_CLOSURE = 1006

# The library logs handshakes at its own levels; this module raises what matters as errors.
_quiet = logging.getLogger("muster.transport")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


class SocketClosed(HubUnreachable):
    """The connection ended. ``code`` is the close code that came, or 1006."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"the connection to the hub ended ({code})")


class PeerCertificate(Struct, frozen=True, kw_only=True):
    """The certificate that the hub showed and that was accepted.

    ``expires_s`` counts from 1970; it is None where the hub's key vouches for it, as its dates mean nothing then.
    """

    issuer: str
    expires_s: float | None
    version: str
    """The version of TLS, such as ``TLSv1.3``."""


class Socket:
    """One open WebSocket of binary messages."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.heard_s = time.monotonic()
        """When the last message or pong came, by the monotonic clock."""
        self.outlived_s = 0.0
        """The longest silence that this connection survived, in seconds."""

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
        self._hear()
        return bytes(data)

    async def probe(self, timeout_s: float) -> float:
        """Ping the other side, and return the round trip in seconds.

        Raises ``SocketClosed`` if it does not answer in time.
        """
        try:
            async with asyncio.timeout(timeout_s):
                round_trip_s = await (await self._connection.ping())
        except ConnectionClosed as closed:
            raise _closed(closed) from None
        except TimeoutError:
            raise SocketClosed(ABNORMAL_CLOSURE) from None
        self._hear()
        return round_trip_s

    def _hear(self) -> None:
        now = time.monotonic()
        self.outlived_s = max(self.outlived_s, now - self.heard_s)
        self.heard_s = now

    async def close(self) -> None:
        """Close within ``CLOSE_TIMEOUT_S``, even if the other side is gone."""
        await self._connection.close(NORMAL_CLOSURE)

    @property
    def certificate(self) -> PeerCertificate | None:
        """The hub's certificate; None without TLS."""
        found = self._tls
        if isinstance(found, HubKeyTls):
            return PeerCertificate(issuer="the hub's key", expires_s=None, version=found.version() or "TLS")
        shown_there = None if found is None else found.getpeercert()
        if found is None or not shown_there:
            return None
        named = dict(pair for part in cast("tuple[Any, ...]", shown_there["issuer"]) for pair in part)
        issuer = named.get("organizationName") or named.get("commonName") or "without a name"
        expires_s = cert_time_to_seconds(str(shown_there["notAfter"]))
        return PeerCertificate(issuer=str(issuer), expires_s=expires_s, version=found.version() or "TLS")

    @property
    def by_hub_key(self) -> bool | None:
        """Whether the hub's key vouched for its certificate, or else an authority; None without TLS."""
        return None if self._tls is None else isinstance(self._tls, HubKeyTls)

    @property
    def _tls(self) -> SSLObject | None:
        found: SSLObject | None = self._connection.transport.get_extra_info("ssl_object")
        return found

    @property
    def local(self) -> str:
        """This machine's own address on the connection."""
        return str(self._connection.local_address[0])

    @property
    def peer(self) -> str:
        """The address at the other end: the hub's, or a proxy's."""
        return str(self._connection.remote_address[0])


class _Dialling(connect):
    """The library's dialling, but it follows no redirect.

    The person chose the hub's address, and its rules were checked when it was set: ``ws://`` reaches this machine only.
    """

    @override
    def process_redirect(self, exc: Exception) -> Exception:
        return exc


def _closed(error: ConnectionClosed) -> SocketClosed:
    return SocketClosed(ABNORMAL_CLOSURE if error.rcvd is None else error.rcvd.code)


@asynccontextmanager
async def open_socket(url: str, *, timeout_s: float, tls: TlsWays) -> AsyncIterator[Socket]:
    """Connect, and close at the end of the block; raises ``HubUnreachable`` with its ``Trouble`` and a message.

    Each of the ways in ``tls`` has a try, until one knows the certificate; ``HubKeyChanged`` where another hub's key
    vouches for it. A proxy that the environment names is used.
    """
    connection = await _connect(url, timeout_s, tls)
    try:
        yield Socket(connection)
    finally:
        await connection.close(NORMAL_CLOSURE)


async def _connect(url: str, timeout_s: float, tls: TlsWays) -> ClientConnection:
    proxy = proxy_for(url)
    unknown: SSLCertVerificationError | None = None
    for way in tls:
        try:
            return await _dial(url, timeout_s, way, proxy)
        except NotVouchedError as error:
            unknown = error
            break
        except SSLCertVerificationError as error:
            # That there is no word of a hub's key says nothing to a person; what an authority says does.
            unknown = error if unknown is None or isinstance(unknown, NoVoucherError) else unknown
        except (OSError, InvalidHandshake, InvalidProxy, InvalidURI, EOFError) as error:
            said = _explain(error, url, None if proxy is None else shown(proxy))
            if proxy is None:
                said = await _wrong_scheme(error, url) or said
            raise said from error
    if unknown is None:
        raise ValueError("there is no way to judge a certificate")
    if isinstance(unknown, NotVouchedError) and unknown.changed is not None:
        raise HubKeyChanged(unknown.changed) from unknown
    raise from_os_error(unknown, url, None) from unknown


async def _dial(url: str, timeout_s: float, ssl: SSLContext | None, proxy: str | None) -> ClientConnection:
    secured = {"ssl": ssl} if ssl is not None and url.startswith("wss:") else {}
    return await _Dialling(
        url,
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        compression=None,
        user_agent_header=None,
        proxy=proxy,
        open_timeout=timeout_s,
        # ``HubConnection.keep_alive`` pings at an interval of its own.
        ping_interval=None,
        close_timeout=CLOSE_TIMEOUT_S,
        max_size=MAX_MESSAGE_BYTES,
        max_queue=MAX_UNREAD_MESSAGES,
        logger=_quiet,
        **secured,  # type: ignore[arg-type]
    )


async def _wrong_scheme(error: Exception, url: str) -> HubUnreachable | None:
    """Return the error for a wrong scheme, if the port closed on the first bytes because of it."""
    if url.startswith("wss:") and isinstance(error, ConnectionResetError) and await speaks_plain_http(url):
        return HubUnreachable(f"{url} does not speak TLS on this port", Trouble.TLS_NOT_SPOKEN)
    if url.startswith("ws:") and isinstance(error, InvalidMessage) and await speaks_tls(url):
        return HubUnreachable(f"{url} speaks TLS on this port", Trouble.TLS_REQUIRED)
    return None


def _explain(error: Exception, url: str, proxy: str | None) -> HubUnreachable:
    if isinstance(error, OSError):
        return from_os_error(error, url, proxy)
    if isinstance(error, InvalidProxy):
        # Its own words quote the URL as it stands in the environment, with the password.
        return HubUnreachable(f"the proxy {proxy} gives no way to {url}: {error.msg}", Trouble.PROXY_FAILED)
    if isinstance(error, ProxyError):
        return HubUnreachable(f"the proxy {proxy} gives no way to {url}: {visible(str(error))}", Trouble.PROXY_FAILED)
    if isinstance(error, InvalidStatus):
        response = error.response
        targets = response.headers.get_all("Location")
        return from_answer(url, response.status_code, targets[0] if targets else None, bytes(response.body))
    return HubUnreachable(f"{url} answered, but not as a hub: {visible(str(error))}", Trouble.NOT_A_HUB)
