"""The lease of this node among the others, and whether the node may act."""

import asyncio
from collections.abc import Sequence

from muster_hub.store.adapter import Store
from muster_hub.store.clock import boot_s
from muster_hub.store.lease_keeper import LeaseKeeper

ACTING_WAIT_S = 1.0
"""How long a device waits for a node that does not act, before it is told to come back."""
ACTING_POLL_S = 0.05


class LeasedNodes:
    """Implements ``context.Nodes``. A node acts while its lease is fresh and its devices are registered under it."""

    __slots__ = ("keeper", "registrations")

    def __init__(self, store: Store, node: str) -> None:
        self.keeper = LeaseKeeper(store, node)
        self.registrations = 0
        """Runs that register all connections under a new incarnation; while one is under way, nothing is decided."""

    @property
    def node(self) -> str:
        """This node's name."""
        return self.keeper.table.node

    @property
    def incarnation(self) -> str:
        """The incarnation under which this node registers its connections."""
        return self.keeper.incarnation

    def live(self, node: str, incarnation: str) -> bool:
        """Return whether what an incarnation holds still counts."""
        return self.keeper.live(node, incarnation)

    def live_nodes(self) -> Sequence[str]:
        """Return the names of the nodes that count as live, in order."""
        return self.keeper.table.live_nodes()

    def acting(self) -> bool:
        """Return whether this node may relay and decide at this moment."""
        return not self.registrations and self.keeper.acting()

    async def until_acting(self) -> bool:
        """Wait until this node may act; return False when the store has been away for too long.

        While devices are being registered again it waits on: then the store is there.
        """
        give_up_s = boot_s() + ACTING_WAIT_S
        while not self.acting():  # it depends on a clock, which sets no event
            if boot_s() >= give_up_s and not self.registrations:
                return False
            await asyncio.sleep(ACTING_POLL_S)
        return True
