"""What happens to the machine: it slept, or it is on another network."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from muster_client.device.clock import DeviceClock

CHECK_EVERY_S = 5.0
JUMP_S = 10.0
"""How far the two clocks may drift apart between two checks before it counts as sleep."""
_DISCARD = 9
"""Any port works: nothing is sent."""


@dataclass(slots=True)
class SleepWatch:
    """Compares the wall clock and the monotonic clock, in seconds."""

    _wall: float
    _monotonic: float

    def slept(self, wall: float, monotonic: float) -> bool:
        """Return whether the machine slept, or its clock was set forward, since the last check."""
        gap = (wall - self._wall) - (monotonic - self._monotonic)
        self._wall, self._monotonic = wall, monotonic
        return gap >= JUMP_S


class MachineWatch:
    """Calls ``on_change`` when the machine has slept, or reaches the hub from another local address."""

    def __init__(self, clock: DeviceClock, on_change: Callable[[], Awaitable[None]]) -> None:
        self._clock = clock
        self._on_change = on_change
        self._peer: str | None = None
        self._way: str | None = None

    def connected(self, peer: str) -> None:
        """Record the address at the other end of the newest connection."""
        self._peer, self._way = peer, way_to(peer)

    async def run(self) -> None:
        """Check every few seconds."""
        sleep = SleepWatch(self._wall_s(), time.monotonic())
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            slept = sleep.slept(self._wall_s(), time.monotonic())
            if self._moved() or slept:
                await self._on_change()

    def _wall_s(self) -> float:
        return self._clock() / 1000

    def _moved(self) -> bool:
        """Return whether the way to the hub begins at another address than at the last check."""
        if self._peer is None:
            return False
        before, self._way = self._way, way_to(self._peer)
        return self._way != before


def way_to(peer: str) -> str | None:
    """Return the local address from which the system would reach this address now, or None if there is no route."""
    family = socket.AF_INET6 if ":" in peer else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((peer, _DISCARD))
        except OSError:
            return None
        return str(probe.getsockname()[0])
