"""What happens to the machine: it slept, or it is on another network."""

import socket
from dataclasses import dataclass

CHECK_EVERY_S = 5.0
JUMP_S = 10.0
"""How far the two clocks may drift apart between two looks before it counts as sleep."""
_DISCARD = 9
"""Any port will do: nothing is sent."""


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


def way_to(peer: str) -> str | None:
    """Give the local address from which the system would reach this address now; None where there is no way."""
    family = socket.AF_INET6 if ":" in peer else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((peer, _DISCARD))
        except OSError:
            return None
        return str(probe.getsockname()[0])
