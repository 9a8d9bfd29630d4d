"""One timer for all deadlines of a listener: a wheel with a slot per tick."""

import math
from typing import Protocol


class Timed(Protocol):
    """Something with at most one deadline at a time. ``due_tick`` belongs to the wheel and starts as None."""

    due_tick: int | None

    def on_time(self) -> None:
        """Act on the deadline, which is no longer set."""


class Wheel:
    """Deadlines counted in ticks of ``tick_s`` seconds. Setting, moving and removing one is O(1).

    Time here is the number of turns, not a clock: a process that was frozen, or too busy to turn the wheel, does not
    take its own absence for the silence of others.
    """

    __slots__ = ("_slots", "_tick_s", "tick")

    def __init__(self, tick_s: float) -> None:
        self._tick_s = tick_s
        self._slots: dict[int, set[Timed]] = {}
        self.tick = 0

    def ticks(self, delay_s: float) -> int:
        """Return the number of whole ticks that last at least ``delay_s``; 1 at least."""
        return max(1, math.ceil(delay_s / self._tick_s))

    def set(self, item: Timed, tick: int) -> None:
        """Set the one deadline of ``item``: the turn to ``tick``, or the next turn if that has passed."""
        self.drop(item)
        item.due_tick = max(tick, self.tick + 1)
        self._slots.setdefault(item.due_tick, set()).add(item)

    def drop(self, item: Timed) -> None:
        """Remove the deadline of ``item``, if it has one."""
        if item.due_tick is None:
            return
        slot = self._slots[item.due_tick]
        slot.discard(item)
        if not slot:
            del self._slots[item.due_tick]
        item.due_tick = None

    def turn(self) -> None:
        """Advance by one tick and call ``on_time`` of each item whose deadline it was."""
        self.tick += 1
        due = self._slots.get(self.tick)
        while due:
            item = due.pop()
            item.due_tick = None
            item.on_time()
        self._slots.pop(self.tick, None)
