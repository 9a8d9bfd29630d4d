"""The clock of a device."""

import time
from typing import Protocol

from muster_protocol.ids import TimeMs


class DeviceClock(Protocol):
    """The wall clock by which a device dates and judges: it may jump both ways."""

    def __call__(self) -> TimeMs:
        """Return the time in ms since 1970."""


def now_ms() -> TimeMs:
    """Return the time of this machine's wall clock."""
    return TimeMs(time.time_ns() // 1_000_000)
