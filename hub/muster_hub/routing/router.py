"""The router: sends from a use case to a connected device, on this node or over the bus to another node.

Sending is best effort: it waits for no delivery. A push that must arrive waits in the device's inbox; the router only
notifies the node that delivers it.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence

from muster_hub.routing.bus_messages import (
    BusMessage,
    CloseConnection,
    NotifyInbox,
    NotifyPresence,
    PushToConnection,
    encode_bus_message,
)
from muster_hub.routing.services import AgentLookup, LocalConnection, MessageBus, PresenceListener
from muster_hub.store.rows import Location
from muster_protocol.closes import CloseCode
from muster_protocol.connect import Role
from muster_protocol.ids import ClientId

MAX_CLOSED_EARLY = 1_024
"""Close messages remembered for connections that are not in this node's table; the oldest is dropped first."""


class Router:
    """The connections of one node, and the bus to those of the other nodes."""

    __slots__ = ("_agents", "_bus", "_closed_early", "_connections", "_lookup", "_node", "_watches")

    def __init__(self, node: str, bus: MessageBus, lookup: AgentLookup, watches: PresenceListener) -> None:
        self._node = node
        self._bus = bus
        self._lookup = lookup
        self._watches = watches
        self._connections: dict[tuple[ClientId, int], LocalConnection] = {}
        self._agents: dict[ClientId, LocalConnection] = {}
        self._closed_early: OrderedDict[tuple[ClientId, int], None] = OrderedDict()

    # -- the table of this node ---------------------------------------------------------------------------------------

    def add(self, connection: LocalConnection) -> LocalConnection | None:
        """Add a connection and return the one that has to close now, if any.

        That is the older agent of the same device, or this connection if a newer agent or a close message came first.
        """
        key = (connection.client, connection.number)
        self._connections[key] = connection
        if key in self._closed_early:
            del self._closed_early[key]
            return connection
        if connection.role is not Role.AGENT:
            return None
        before = self._agents.get(connection.client)
        if before is not None and before.number > connection.number:
            return connection
        self._agents[connection.client] = connection
        return before

    def remove(self, connection: LocalConnection) -> None:
        """Remove a connection; a newer connection of the same device stays."""
        self._connections.pop((connection.client, connection.number), None)
        if self._agents.get(connection.client) is connection:
            del self._agents[connection.client]

    def local(self, client: ClientId, number: int) -> LocalConnection | None:
        """Return a connection of this node by its number, or None."""
        return self._connections.get((client, number))

    def local_agent(self, client: ClientId) -> LocalConnection | None:
        """Return the agent of a device if it is connected to this node, else None."""
        return self._agents.get(client)

    def __iter__(self) -> Iterator[LocalConnection]:
        """Iterate over a snapshot of all connections of this node."""
        return iter(tuple(self._connections.values()))

    def __len__(self) -> int:
        """Return the number of connections of this node."""
        return len(self._connections)

    # -- sending ------------------------------------------------------------------------------------------------------

    def push(self, client: ClientId, locations: Sequence[Location], data: bytes) -> None:
        """Send an encoded push to a device at these locations."""
        for location in locations:
            here = self.local(client, location.connection)
            if here is not None:
                here.send(data)
            elif location.node != self._node:
                self._tell(location.node, PushToConnection(client, location.connection, data))

    def push_here(self, client: ClientId, data: bytes) -> bool:
        """Send an encoded push to a device's agent if it is on this node; return whether it is."""
        here = self._agents.get(client)
        if here is not None:
            here.send(data)
        return here is not None

    async def push_live(self, client: ClientId, data: bytes) -> None:
        """Send an encoded push to a device's agent on any node.

        Raises ``StoreUnavailable`` when the agent is not on this node and the store does not answer.
        """
        if self.push_here(client, data):
            return
        location = await self._lookup.find_agent(client)
        if location is not None:
            self.push(client, [location], data)

    def notify_inbox(self, client: ClientId, locations: Sequence[Location], newest: bytes | None = None) -> None:
        """Have the nodes of these locations deliver what waits in the device's inbox.

        ``newest`` is the push that was just put there: a connection of this node gets it without a read of the inbox.
        """
        for location in locations:
            here = self.local(client, location.connection)
            if here is not None:
                if newest is None:
                    here.deliver_inbox()
                else:
                    here.hand_over(newest)
            elif location.node != self._node:
                self._tell(location.node, NotifyInbox(client, location.connection))

    def close(self, client: ClientId, location: Location, code: CloseCode) -> None:
        """Close a connection on this node or on its own."""
        if location.node == self._node:
            self._close_here(client, location.connection, code)
        else:
            self._tell(location.node, CloseConnection(client, location.connection, code))

    def notify_presence(self, client: ClientId, nodes: Iterable[str]) -> None:
        """Have these nodes read the presence of a device again for those who watch it."""
        for node in nodes:
            if node == self._node:
                self._watches.changed(client)
            else:
                self._tell(node, NotifyPresence(client))

    # -- receiving ----------------------------------------------------------------------------------------------------

    def receive(self, message: BusMessage) -> None:
        """Apply a message from the bus; ignore it if the connection has gone."""
        match message:
            case NotifyPresence(client=client):
                self._watches.changed(client)
            case CloseConnection(client=client, connection=number, code=code):
                self._close_here(client, number, CloseCode(code))
            case PushToConnection(client=client, connection=number, frame=frame):
                if (here := self.local(client, number)) is not None:
                    here.send(frame)
            case NotifyInbox(client=client, connection=number):
                if (here := self.local(client, number)) is not None:
                    here.deliver_inbox()

    def _close_here(self, client: ClientId, number: int, code: CloseCode) -> None:
        here = self.local(client, number)
        if here is not None:
            here.close(code)
            return
        # Its handshake may not be over: then the store has the connection already, and this table gets it later.
        self._closed_early[client, number] = None
        if len(self._closed_early) > MAX_CLOSED_EARLY:
            self._closed_early.popitem(last=False)

    def _tell(self, node: str, message: BusMessage) -> None:
        self._bus.publish(node, encode_bus_message(message))
