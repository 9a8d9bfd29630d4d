"""What all connections of one node share: the door, the use cases, and a place for their tasks."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Protocol

from muster_hub.connections.handshake import Handshakes
from muster_hub.context import NodeContext
from muster_hub.presence.departures import Departures
from muster_hub.routing.caller import Caller
from muster_hub.routing.services import LocalConnection
from muster_protocol.frames import Reply
from muster_protocol.ids import ClientId


class Watches(Protocol):
    """Whoever keeps what connections watch."""

    def forget(self, client: ClientId, number: int) -> None:
        """Forget what a connection watched."""


@dataclass(frozen=True, slots=True)
class Services:
    """The node, as a connection sees it."""

    context: NodeContext
    entry: Handshakes
    departures: Departures
    watches: Watches
    until_acting: Callable[[], Coroutine[None, None, bool]]
    answer: Callable[[Caller, bytes], Coroutine[None, None, Reply]]
    answer_without_store: Callable[[Caller, bytes], Reply]
    deliver: Callable[[NodeContext, ClientId, LocalConnection], Coroutine[None, None, None]]
    spawn: Callable[[Coroutine[None, None, None]], object]
