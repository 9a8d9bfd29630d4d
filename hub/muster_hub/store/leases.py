"""Which nodes live: a pure machine over the leases in the store and the clock of this node.

    seen ---counter stood still for LOST_AFTER_S of successful reads---> Tombstone ---the store agrees---> lost
      ^                                                                     |
      +------------------------the counter moved---------------------------+

A lease is a counter that a node raises every RENEW_EVERY_S. Clocks of different machines are never compared: an
observer measures, on its own clock, how long a counter stands still. A store that is away proves nothing, so a gap
between two reads restarts the measure. ``live`` and ``NodeLost`` follow the tombstone in the store, so all nodes agree.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

RENEW_EVERY_S = 1.0
LOST_AFTER_S = 5.0
STOP_ACTING_AFTER_S = 4.0  # a second before others may call this node lost
MAX_READ_GAP_S = 2.5  # two reads further apart do not prove that the counter stood still between them


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """A lease in the store: the incarnation, its counter, and when it got its tombstone (Unix ms, 0 while it lives)."""

    incarnation: str
    counter: int
    tombstone_ms: int


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A request to the store: end this incarnation if its counter still stands there."""

    node: str
    incarnation: str
    counter: int


@dataclass(frozen=True, slots=True)
class NodeLost:
    """An incarnation ended for good; its connections are gone."""

    node: str
    incarnation: str


@dataclass(frozen=True, slots=True)
class Renewed:
    """This node may act under this incarnation, after it could not: at its start, or after it got a tombstone."""

    incarnation: str


Effect: TypeAlias = Tombstone | NodeLost | Renewed


@dataclass(slots=True)
class _Watched:
    row: LeaseRow
    still_s: float = 0.0


class LeaseTable:
    """The leases as one node sees them. Times are seconds of one clock that runs on in suspend."""

    __slots__ = ("_counter", "_last_read_s", "_nodes", "_renewed_s", "incarnation", "node")

    def __init__(self, node: str, incarnation: str) -> None:
        self.node = node
        self.incarnation = incarnation
        self._counter = 0
        self._nodes: dict[str, _Watched] = {}
        self._renewed_s: float | None = None
        self._last_read_s: float | None = None

    def next_counter(self) -> int:
        """Return the counter for the next renewal: a new one each time, since a lost answer may have counted."""
        self._counter += 1
        return self._counter

    @property
    def beginning(self) -> bool:
        """Whether this incarnation was never renewed yet, and so has to take the node's row."""
        return self._renewed_s is None

    def begin(self, incarnation: str) -> None:
        """Begin a new incarnation, after the last one got a tombstone. It may not act before it is renewed."""
        self.incarnation = incarnation
        self._renewed_s = None

    def renewed(self, rows: Mapping[str, LeaseRow], *, asked_s: float, now_s: float) -> list[Effect]:
        """Take the answer to a renewal: all leases, asked for at ``asked_s`` and received at ``now_s``."""
        effects: list[Effect] = [Renewed(self.incarnation)] if self.beginning else []
        self._renewed_s = asked_s
        step_s = self._step_s(now_s)
        for node in self._nodes.keys() - rows.keys():
            effects += self._end(node)
        for node, row in rows.items():
            effects += self._observe(node, row, step_s)
        return effects

    def live(self, node: str, incarnation: str) -> bool:
        """Return whether an incarnation is live: it was seen, it is the node's last, and it has no tombstone."""
        watched = self._nodes.get(node)
        return watched is not None and watched.row.incarnation == incarnation and not watched.row.tombstone_ms

    def live_nodes(self) -> list[str]:
        """Return the nodes that count as live, in the order of their names."""
        return sorted(node for node, watched in self._nodes.items() if not watched.row.tombstone_ms)

    def own_row(self) -> LeaseRow | None:
        """Return this node's own lease as last read, None before that or with a tombstone."""
        watched = self._nodes.get(self.node)
        return watched.row if watched and self.live(self.node, self.incarnation) else None

    def acting(self, now_s: float) -> bool:
        """Return whether this node may relay and decide: it asked for its last good renewal a short while ago."""
        return self._renewed_s is not None and now_s - self._renewed_s < STOP_ACTING_AFTER_S

    def next_read_in_s(self) -> float:
        """Return how long to wait until the next renewal: sooner when a counter is about to have stood too long."""
        waits = [LOST_AFTER_S - watched.still_s for node, watched in self._nodes.items() if self._counts(node, watched)]
        return min([wait for wait in waits if wait > 0] + [RENEW_EVERY_S])

    def _step_s(self, now_s: float) -> float | None:
        """Return how much longer an unmoved counter stood still, None when this read proves nothing about it."""
        last_s, self._last_read_s = self._last_read_s, now_s
        if last_s is None or now_s - last_s > MAX_READ_GAP_S:
            return None
        return now_s - last_s

    def _observe(self, node: str, row: LeaseRow, step_s: float | None) -> list[Effect]:
        watched = self._nodes.get(node)
        if watched is None or watched.row.incarnation != row.incarnation or row.tombstone_ms:
            effects = self._end(node)
            self._nodes[node] = _Watched(row)
            return effects
        moved = row.counter != watched.row.counter
        watched.row = row
        watched.still_s = 0.0 if moved or step_s is None else watched.still_s + step_s
        if node != self.node and watched.still_s >= LOST_AFTER_S:
            return [Tombstone(node, row.incarnation, row.counter)]
        return []

    def _end(self, node: str) -> list[Effect]:
        watched = self._nodes.pop(node, None)
        if watched is None or watched.row.tombstone_ms:
            return []
        return [NodeLost(node, watched.row.incarnation)]

    def _counts(self, node: str, watched: _Watched) -> bool:
        return node != self.node and not watched.row.tombstone_ms
