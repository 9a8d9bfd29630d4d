"""The listener's interface: a peer, its handler, and an answer to plain HTTP."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

PLAIN_TEXT = "text/plain; charset=utf-8"


class SocketDropCause(StrEnum):
    """How a connection ended, as the transport saw it."""

    CLOSED = "closed"
    """One of the two sides sent a close frame."""

    TIMEOUT = "timeout"
    """The peer was silent, or not authenticated, for too long."""

    LOST = "lost"
    """The socket ended without a close frame."""


class SocketPeer(Protocol):
    """The other end of one WebSocket connection."""

    @property
    def address(self) -> str:
        """The peer's IP address, or ``unix``; for people and for counting. It proves nothing."""

    @property
    def near(self) -> str | None:
        """The unit in which the address is counted, None for one that is not counted."""

    @property
    def closing(self) -> bool:
        """Whether the connection has begun to close: nothing more is sent or delivered."""

    @property
    def behind(self) -> bool:
        """Whether more than UNREAD_BYTES wait for the peer, so that it should be answered later."""

    @property
    def ping_rtt_ms(self) -> float | None:
        """The round trip of the last answered keep-alive ping; None before the first."""

    def send(self, data: bytes) -> None:
        """Send one binary message; never blocks, and does nothing once ``closing``.

        What a peer does not read waits in memory up to ``unsent_limit_bytes``; beyond, it is closed as a slow reader.
        """

    def close(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake; does nothing once ``closing``.

        The reason has 123 bytes of UTF-8 at most. Raises ``ValueError`` if it is longer.
        """

    def charge(self, units: float) -> int:
        """Take units of the work that unauthenticated peers of this address may cause, and return 0.

        Or take nothing and return in how many ms they will be available.
        """

    def take_place(self) -> bool:
        """Take a place among the authenticated peers of this address, until the connection has ended.

        Return False where there is none, True also if this peer has one.
        """

    def authenticated(self) -> None:
        """End the limits and the deadline of unauthenticated peers for this one."""

    def pause(self) -> None:
        """Stop reading, which slows the peer down; messages of the read in progress are still delivered."""

    def resume(self) -> None:
        """Resume reading."""


class Handler(Protocol):
    """Serves one connection. An exception from it closes the connection with ``INTERNAL``."""

    def opened(self, peer: SocketPeer) -> None:
        """Take the peer; called once, before anything else."""

    def message(self, data: bytes) -> None:
        """Take one whole binary message, 64 KiB at most (``max_message_bytes``)."""

    def closed(self, cause: SocketDropCause) -> None:
        """Take the cause of the end; called once, as the last call."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer to a plain HTTP request: the status, the body, its type, and headers beyond the usual."""

    status: int
    body: bytes
    content_type: str = PLAIN_TEXT
    headers: tuple[tuple[str, str], ...] = ()


NewHandler: TypeAlias = Callable[[], Handler]
"""Makes the handler of one new connection."""

AnswerHttp: TypeAlias = Callable[[str], HttpAnswer]
"""Answers a request without WebSocket for one of the two paths, ``/healthz`` and ``/readyz``, at once."""
