"""Noticing that the machine slept: the wall clock went on and the monotonic one did not."""

from dataclasses import dataclass

CHECK_EVERY_S = 5.0
JUMP_S = 10.0
"""How far the two clocks may drift apart between two looks before it counts as sleep."""


@dataclass(slots=True)
class SleepWatch:
    """Looks at both clocks, in seconds."""

    _wall: float
    _monotonic: float

    def slept(self, wall: float, monotonic: float) -> bool:
        """Tell whether the machine slept, or its clock was set forward, since the last look."""
        gap = (wall - self._wall) - (monotonic - self._monotonic)
        self._wall, self._monotonic = wall, monotonic
        return gap >= JUMP_S
