"""What all connections of one listener share."""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from muster_hub.concurrency import Tasks
from muster_hub.listener.gate import Gate
from muster_hub.listener.peer import AnswerHttp, NewHandler
from muster_hub.listener.settings import ListenerSettings
from muster_hub.listener.wheel import Wheel


class OpeningSocket(Protocol):
    """A socket whose opening handshake is under way."""

    def abort(self) -> None:
        """Reset the socket."""


class OpenSocket(Protocol):
    """A socket whose opening handshake is done."""

    def abort(self) -> None:
        """Reset the socket."""

    def close(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake."""


@dataclass(slots=True)
class ListenerState:
    """The limits, the counts, the one timer, and the open sockets."""

    settings: ListenerSettings
    subprotocol: str | None
    new_handler: NewHandler
    http: AnswerHttp
    gate: Gate
    wheel: Wheel
    tasks: Tasks = field(default_factory=Tasks)
    openings: set[OpeningSocket] = field(default_factory=set)
    connections: set[OpenSocket] = field(default_factory=set)
    accepting: bool = True
    all_closed: asyncio.Event = field(default_factory=asyncio.Event)

    def discard(self, connection: OpenSocket) -> None:
        """Remove a connection that has ended."""
        self.connections.discard(connection)
        if not self.connections:
            self.all_closed.set()

    def add(self, connection: OpenSocket) -> None:
        """Add a new connection."""
        self.connections.add(connection)
        self.all_closed.clear()

    def abort_all(self) -> None:
        """Reset every socket."""
        for opening in tuple(self.openings):
            opening.abort()
        for connection in tuple(self.connections):
            connection.abort()
