"""The clocks that the device's machines are given."""

import time

from muster_protocol.ids import TimeMs


def now_ms() -> TimeMs:
    """Give the wall clock in ms since 1970."""
    return TimeMs(time.time_ns() // 1_000_000)
