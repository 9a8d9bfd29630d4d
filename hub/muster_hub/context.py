"""What every use case is given: the store, the router, the nodes, a clock, the settings and the hub's key."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from muster_hub.config.settings import Settings
from muster_hub.rate_limits.costs import REQUEST_RATE
from muster_hub.rate_limits.spending import Payer, Spending
from muster_hub.routing.router import Router
from muster_hub.store.adapter import Store
from muster_protocol.ids import TimeMs
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
    spending: Spending = field(default_factory=lambda: Spending(REQUEST_RATE))

    @property
    def only_enrolled(self) -> bool:
        """Whether enrolled devices alone are served (SPEC.md section 4.6)."""
        return self.settings.enrolment in {"invited", "listed"}

    def charge(self, payer: Payer, units: float) -> None:
        """Charge a device and its address for work that it caused; its next requests wait until the units are paid."""
        self.spending.charge(payer, units)

    def wait_ms(self, payer: Payer, units: float, *, asking: float = 0.0, kept: float = 0.0) -> int:
        """Take units from both, and ``kept`` bytes of the address; or take nothing and return when to ask again.

        ``asking`` is what the same message will cost on arrival then.
        """
        return self.spending.wait_ms(payer, units, asking=asking, kept=kept)
