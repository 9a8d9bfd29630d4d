"""What every use case is given: the store, the router, the nodes, a clock, the settings and the hub's key."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from muster_hub.config.settings import Settings
from muster_hub.rate_limits.costs import MAX_DEVICES, REQUEST_RATE
from muster_hub.rate_limits.token_bucket import Allowances
from muster_hub.routing.router import Router
from muster_hub.store.adapter import Store
from muster_protocol.ids import ClientId, TimeMs
from muster_protocol.keys import SigningKey


class Clock(Protocol):
    """The wall clock as an argument, so that a test can set it."""

    def now_ms(self) -> TimeMs:
        """Return the time in ms since 1970-01-01T00:00Z."""


class WallClock:
    """This machine's clock."""

    __slots__ = ()

    def now_ms(self) -> TimeMs:
        """Return the time in ms since 1970-01-01T00:00Z."""
        return TimeMs(time.time_ns() // 1_000_000)


class Nodes(Protocol):
    """The nodes of this hub, as their leases tell."""

    @property
    def node(self) -> str:
        """This node's name."""

    @property
    def incarnation(self) -> str:
        """The incarnation under which this node registers its connections."""

    def live(self, node: str, incarnation: str) -> bool:
        """Return whether what an incarnation holds still counts."""

    def live_nodes(self) -> Sequence[str]:
        """Return the names of the nodes that count as live, in order."""

    def acting(self) -> bool:
        """Return whether this node may relay and decide at this moment."""

    async def until_acting(self) -> bool:
        """Wait until this node may act, a second at most while the store is away; return whether it may."""


@dataclass(frozen=True, slots=True)
class NodeContext:
    """What a node gives each use case first: ``async def name(context, caller, request) -> Reply``."""

    store: Store
    router: Router
    nodes: Nodes
    clock: Clock
    settings: Settings
    key: SigningKey
    allowances: Allowances[ClientId] = field(default_factory=lambda: Allowances(REQUEST_RATE, MAX_DEVICES))

    def charge(self, client: ClientId, units: float) -> None:
        """Charge a device for work that it caused; its next requests wait until the units are paid."""
        self.allowances.charge(client, units, time.monotonic())

    def overdraft_s(self, client: ClientId) -> float:
        """Return in how many seconds a device owes no more than its rate allows it to owe; 0 where it does not."""
        return self.allowances.overdraft_s(client, time.monotonic())

    def wait_ms(self, client: ClientId, units: float, *, asking: float = 0.0) -> int:
        """Take units from a device's allowance and return 0; or take nothing and return in how many ms to ask again.

        ``asking`` is what the same message will cost on arrival then.
        """
        return self.allowances.wait_ms(client, units, time.monotonic(), asking=asking)
