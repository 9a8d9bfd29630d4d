"""Ways from a use case to a connected device: on this node, or over the bus on another one.

All of it is best effort and none of it waits. What must arrive waits in the device's inbox, and is only notified here.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Protocol

from muster_hub.routing.bus_messages import (
    BusMessage,
    CloseSeat,
    NotifyInbox,
    NotifyPresence,
    PushToSeat,
    encode_bus_message,
)
from muster_hub.routing.caller import Caller
from muster_hub.store.rows import Seat
from muster_protocol.closes import CloseCode
from muster_protocol.connect import Role
from muster_protocol.ids import ClientId

MAX_CLOSED_EARLY = 1_024
"""Connections remembered that were to be closed and were not, or no longer, here; the oldest is forgotten first."""


class LocalConnection(Protocol):
    """A connected device on this node, as use cases see it."""

    @property
    def caller(self) -> Caller:
        """Return who is connected."""

    @property
    def client(self) -> ClientId:
        """Return whose connection it is."""

    @property
    def number(self) -> int:
        """Return the connection's number in the store."""

    @property
    def role(self) -> Role:
        """Return what the process on the other end does."""

    @property
    def busy(self) -> bool:
        """Tell whether a request is being served."""

    def finish(self) -> None:
        """Take no more requests; those that came are answered."""

    def send(self, frame: bytes) -> None:
        """Send an encoded frame; nothing happens once the connection closes."""

    def close(self, code: CloseCode) -> None:
        """Close the connection."""

    def hand_over(self, frame: bytes) -> None:
        """Send the push that just came to wait in the device's inbox, behind those that are being delivered."""

    def deliver_inbox(self) -> None:
        """Send what waits in the device's inbox, soon, in a task of the connection's own."""


class Router:
    """The connections of one node, and the bus to those of the others."""

    __slots__ = ("_agents", "_closed_early", "_connections", "_find_seat", "_node", "_publish", "_watched")

    def __init__(
        self,
        node: str,
        publish: Callable[[str, bytes], None],
        find_seat: Callable[[ClientId], Awaitable[Seat | None]],
        watched: Callable[[ClientId], None],
    ) -> None:
        self._node = node
        self._publish = publish
        self._find_seat = find_seat
        self._watched = watched
        self._connections: dict[tuple[ClientId, int], LocalConnection] = {}
        self._agents: dict[ClientId, LocalConnection] = {}
        self._closed_early: OrderedDict[tuple[ClientId, int], None] = OrderedDict()

    # -- the table of this node -----------------------------------------------------------------------------------

    def add(self, connection: LocalConnection) -> LocalConnection | None:
        """Enter a connection; return the one that has to close now: the agent before it, or itself if it came late."""
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
        """Take a connection out; only its own entry."""
        self._connections.pop((connection.client, connection.number), None)
        if self._agents.get(connection.client) is connection:
            del self._agents[connection.client]

    def local(self, client: ClientId, number: int) -> LocalConnection | None:
        """Return a connection of this node by its number."""
        return self._connections.get((client, number))

    def local_agent(self, client: ClientId) -> LocalConnection | None:
        """Return the agent of a device, if it is connected to this node."""
        return self._agents.get(client)

    def __iter__(self) -> Iterator[LocalConnection]:
        """Go over a snapshot of all connections of this node."""
        return iter(tuple(self._connections.values()))

    def __len__(self) -> int:
        """Return how many devices' connections this node holds."""
        return len(self._connections)

    # -- ways out -------------------------------------------------------------------------------------------------

    def push(self, client: ClientId, seats: Sequence[Seat], data: bytes) -> None:
        """Send an encoded push to these seats of a device."""
        for seat in seats:
            here = self.local(client, seat.connection)
            if here is not None:
                here.send(data)
            elif seat.node != self._node:
                self._tell(seat.node, PushToSeat(client, seat.connection, data))

    def push_here(self, client: ClientId, data: bytes) -> bool:
        """Send an encoded push to a device's agent, if it is on this node; tells whether it is."""
        here = self._agents.get(client)
        if here is not None:
            here.send(data)
        return here is not None

    async def push_live(self, client: ClientId, data: bytes) -> None:
        """Send an encoded push to a device's agent, wherever it is.

        Raises ``StoreUnavailable`` when the agent is not here and the store cannot tell where it is.
        """
        if self.push_here(client, data):
            return
        seat = await self._find_seat(client)
        if seat is not None:
            self.push(client, [seat], data)

    def notify_inbox(self, client: ClientId, seats: Sequence[Seat], newest: bytes | None = None) -> None:
        """Let the nodes of these seats deliver what waits in the device's inbox.

        ``newest`` is the push that just came to wait there: on this node, it needs no reading.
        """
        for seat in seats:
            here = self.local(client, seat.connection)
            if here is not None:
                if newest is None:
                    here.deliver_inbox()
                else:
                    here.hand_over(newest)
            elif seat.node != self._node:
                self._tell(seat.node, NotifyInbox(client, seat.connection))

    def close(self, client: ClientId, seat: Seat, code: CloseCode) -> None:
        """Close a connection, here or on its node."""
        if seat.node == self._node:
            self._close_here(client, seat.connection, code)
        else:
            self._tell(seat.node, CloseSeat(client, seat.connection, code))

    def notify_presence(self, client: ClientId, nodes: Iterable[str]) -> None:
        """Let these nodes look again at a device that somebody there watches."""
        for node in nodes:
            if node == self._node:
                self._watched(client)
            else:
                self._tell(node, NotifyPresence(client))

    # -- the way in -----------------------------------------------------------------------------------------------

    def receive(self, message: BusMessage) -> None:
        """Do what another node asks for; a connection that is gone by now is nobody's loss."""
        match message:
            case NotifyPresence(client=client):
                self._watched(client)
            case CloseSeat(client=client, connection=number, code=code):
                self._close_here(client, number, CloseCode(code))
            case PushToSeat(client=client, connection=number, frame=frame):
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
        # It may be on its way in: the store knows it already, and this table does not.
        self._closed_early[client, number] = None
        if len(self._closed_early) > MAX_CLOSED_EARLY:
            self._closed_early.popitem(last=False)

    def _tell(self, node: str, message: BusMessage) -> None:
        self._publish(node, encode_bus_message(message))
