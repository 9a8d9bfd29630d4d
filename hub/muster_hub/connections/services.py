"""What all connections of one node share."""

from dataclasses import dataclass

from muster_hub.concurrency import Tasks
from muster_hub.connections.dispatch import Dispatch
from muster_hub.connections.handshake import Handshakes
from muster_hub.context import NodeContext
from muster_hub.presence.departures import Departures
from muster_hub.presence.watches import PresenceWatches


@dataclass(frozen=True, slots=True)
class Services:
    """The node as a connection uses it: the handshake, the requests, presence, and a group for its tasks."""

    context: NodeContext
    handshakes: Handshakes
    dispatch: Dispatch
    departures: Departures
    watches: PresenceWatches
    tasks: Tasks
