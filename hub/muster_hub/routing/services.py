"""What the router uses and what it reaches: the bus, the locations of agents, presence watches, and connections."""

from typing import Protocol

from muster_hub.routing.caller import Caller
from muster_hub.store.rows import Location
from muster_protocol.closes import CloseCode
from muster_protocol.connect import Role
from muster_protocol.ids import ClientId


class MessageBus(Protocol):
    """The way to the other nodes."""

    def publish(self, node: str, payload: bytes) -> None:
        """Send a message to a node, without waiting; the message may be lost."""


class AgentLookup(Protocol):
    """Where the agents of devices are connected."""

    async def find_agent(self, client: ClientId) -> Location | None:
        """Return the location of a device's agent, or None. Raises ``StoreUnavailable``."""


class PresenceListener(Protocol):
    """What is told of devices whose presence may have changed."""

    def changed(self, client: ClientId) -> None:
        """Read a device's presence again, if a connection of this node watches it."""


class LocalConnection(Protocol):
    """A connected device on this node, as use cases see it."""

    @property
    def caller(self) -> Caller:
        """The connected device."""

    @property
    def client(self) -> ClientId:
        """The device's id."""

    @property
    def number(self) -> int:
        """The connection's number in the store."""

    @property
    def role(self) -> Role:
        """The role of the process at the other end."""

    @property
    def busy(self) -> bool:
        """Whether a request is being served."""

    def finish(self) -> None:
        """Take no more requests; those already received are answered."""

    def send(self, frame: bytes) -> None:
        """Send an encoded frame; do nothing once the connection closes."""

    def close(self, code: CloseCode) -> None:
        """Close the connection."""

    def hand_over(self, frame: bytes) -> None:
        """Send the push that was just put into the device's inbox, after those that are being delivered."""

    def deliver_inbox(self) -> None:
        """Start a task of this connection that sends what waits in the device's inbox."""
