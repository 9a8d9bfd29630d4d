"""What all connections of one listener share."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from muster_hub.listener.gate import Gate
from muster_hub.listener.peer import Handler, HttpAnswer
from muster_hub.listener.settings import ListenerSettings
from muster_hub.listener.wheel import Wheel

if TYPE_CHECKING:  # both import this module
    from muster_hub.listener.connection import Connection
    from muster_hub.listener.opening import Opening


@dataclass(slots=True)
class Room:
    """The limits, the counts and the one timer; and who is inside."""

    settings: ListenerSettings
    subprotocol: str | None
    new_handler: Callable[[], Handler]
    http: Callable[[str], HttpAnswer]
    gate: Gate
    wheel: Wheel
    openings: "set[Opening]" = field(default_factory=set)
    connections: "set[Connection]" = field(default_factory=set)
    accepting: bool = True
    nobody_left: asyncio.Event = field(default_factory=asyncio.Event)

    def forget(self, connection: "Connection") -> None:
        """Take a connection that has ended off the list."""
        self.connections.discard(connection)
        if not self.connections:
            self.nobody_left.set()

    def welcome(self, connection: "Connection") -> None:
        """Put a new connection on the list."""
        self.connections.add(connection)
        self.nobody_left.clear()

    def abort_all(self) -> None:
        """Reset every socket."""
        for opening in tuple(self.openings):
            opening.abort()
        for connection in tuple(self.connections):
            connection.abort()
