"""One connection to the store: the library's own, without its retries.

By default redis-py repeats calls whose reply was lost. Here nothing is repeated: ``retry=None`` sets a policy without
retries, ``health_check_interval=0`` sends no PING between calls, ``driver_info=None`` no CLIENT SETINFO, and without a
notification config there is no handshake for maintenance. The caller sets timeouts, so that one covers a pipeline.
"""

import ssl
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, cast

import hiredis
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    DefaultParser,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.exceptions import AuthenticationError, BusyLoadingError, RedisError

from muster_hub.store.errors import StoreCause
from muster_hub.store.urls import Address

Reply: TypeAlias = int | bytes | list["Reply"] | None
Word: TypeAlias = bytes | int | str

READ_BYTES = 65_536
_RESP = 2  # scripts answer with integers, bytes, nil and lists alone, and RESP2 needs no HELLO round trip


class WireLostError(Exception):
    """Raised when the connection is gone, or was never made; calls on it have no answer. ``cause`` says why."""

    def __init__(self, cause: StoreCause, detail: str) -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause = cause


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """An error that the store returned instead of a value: its first word, and the rest for a log."""

    code: str
    text: str


class _StoreConnection(Protocol):
    """The part of the library's connection that is used here, with its types."""

    @property
    def is_connected(self) -> bool: ...
    async def connect(self) -> None: ...
    async def disconnect(self, nowait: bool = ...) -> None: ...  # noqa: FBT001 - the library's own signature
    async def can_read(self) -> bool: ...
    async def send_packed_command(self, command: list[bytes], check_health: bool = ...) -> None: ...  # noqa: FBT001


class _Parser(Protocol):
    """The part of the library's parser that is used here. It returns an error reply as a value."""

    async def read_response(self, disable_decoding: bool = ...) -> "Reply | RedisError": ...  # noqa: FBT001


def pack(*words: Word) -> bytes:
    """Return one command in the store's protocol; integers in decimal, text in UTF-8."""
    # The stub of pack_command describes a tuple of one; it takes any number of words.
    return cast("bytes", hiredis.pack_command(cast("tuple[bytes]", words)))


class Wire:
    """One connection. It has no timeouts of its own: callers put theirs around each use."""

    __slots__ = ("_connection", "_parser")

    def __init__(self, address: Address) -> None:
        # Replies are taken from the parser itself: the connection adds a timeout for each, which doubles the cost.
        parser = DefaultParser(socket_read_size=READ_BYTES)
        self._parser = cast("_Parser", parser)
        self._connection = cast("_StoreConnection", _library_connection(address, parser))

    async def connect(self) -> None:
        """Connect, log in, choose the database; raises ``WireLostError`` when that fails."""
        try:
            await self._connection.connect()
        except (RedisError, OSError) as error:
            # On a Unix socket the library wraps errors that come after connecting.
            refused = any(isinstance(each, AuthenticationError) for each in (error, error.__cause__))
            cause = StoreCause.REFUSED_LOGIN if refused else StoreCause.AWAY
            raise WireLostError(cause, type(error).__name__) from error

    async def is_stale(self) -> bool:
        """Return whether the other end closed, or sent an unexpected reply: such a connection cannot be used."""
        return not self._connection.is_connected or await self._connection.can_read()

    async def send(self, chunks: list[bytes]) -> None:
        """Send packed commands; raises ``WireLostError`` when the connection breaks."""
        try:
            await self._connection.send_packed_command(chunks, check_health=False)
        except (RedisError, OSError) as error:
            raise WireLostError(StoreCause.LOST, type(error).__name__) from error

    async def receive(self) -> Reply | ErrorReply:
        """Receive the next reply, an error reply as a value; raises ``WireLostError`` when the connection breaks."""
        try:
            reply = await self._parser.read_response(disable_decoding=True)
        except (BusyLoadingError, AuthenticationError) as error:  # the library counts these as a lost connection
            return _error_reply(error)
        except (RedisError, OSError) as error:
            raise WireLostError(StoreCause.LOST, type(error).__name__) from error
        return _error_reply(reply) if isinstance(reply, RedisError) else reply

    async def ask(self, *words: Word) -> Reply:
        """Send one command and return its reply; raises ``WireLostError`` also when the store answers with an error."""
        await self.send([pack(*words)])
        reply = await self.receive()
        if isinstance(reply, ErrorReply):
            raise WireLostError(cause_of(reply) or StoreCause.AWAY, reply.code)
        return reply

    async def close(self) -> None:
        """Close at once, without waiting for replies."""
        await self._connection.disconnect(nowait=True)


_CAUSES = {
    "BUSY": StoreCause.BUSY,
    "CLUSTERDOWN": StoreCause.CLUSTER_DOWN,
    "LOADING": StoreCause.LOADING,
    "MASTERDOWN": StoreCause.MASTER_DOWN,
    "MISCONF": StoreCause.DISK_FULL,
    "NOAUTH": StoreCause.REFUSED_LOGIN,
    "NOSCRIPT": StoreCause.UNKNOWN_SCRIPT,
    "NOREPLICAS": StoreCause.READ_ONLY,
    "OOM": StoreCause.MEMORY_FULL,
    "READONLY": StoreCause.READ_ONLY,
    "TRYAGAIN": StoreCause.CLUSTER_DOWN,
    "WRONGPASS": StoreCause.REFUSED_LOGIN,
}


def cause_of(reply: ErrorReply) -> StoreCause | None:
    """Return the cause when an error reply means that the store cannot carry out calls just now, else None."""
    return _CAUSES.get(reply.code)


def _error_reply(error: RedisError) -> ErrorReply:
    # The library takes the first word off the errors that it knows, and keeps it apart.
    code = getattr(error, "status_code", None)
    if code:
        return ErrorReply(str(code), str(error))
    code, _, text = str(error).partition(" ")
    return ErrorReply(code, text)


def _library_connection(address: Address, parser: object) -> AbstractConnection:
    options: dict[str, Any] = {
        "parser_class": lambda **_: parser,
        "db": address.database,
        "username": address.username,
        "password": address.password,
        "socket_timeout": None,
        "socket_connect_timeout": None,
        "socket_read_size": READ_BYTES,
        "health_check_interval": 0,
        "retry": None,
        "driver_info": None,
        "protocol": _RESP,
    }
    if address.kind == "unix":
        return UnixDomainSocketConnection(path=address.path, **options)
    if address.kind == "tls":
        return SSLConnection(host=address.host, port=address.port, ssl_min_version=ssl.TLSVersion.TLSv1_2, **options)
    return Connection(host=address.host, port=address.port, **options)
