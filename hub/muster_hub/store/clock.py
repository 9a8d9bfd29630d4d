"""An estimate of the store's clock, and the clock of this machine that it is based on."""

import asyncio
import time

from muster_hub.store.errors import StoreCause, StoreUnavailable
from muster_hub.store.wire import Reply

# A clock that runs on while the machine sleeps, where the system has one: a laptop that wakes has to notice
# that time passed.
_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", None)


def boot_ms() -> int:
    """Return milliseconds of a clock that never goes back and, where it can, runs on in suspend."""
    if _BOOT_CLOCK is None:
        return time.monotonic_ns() // 1_000_000
    return time.clock_gettime_ns(_BOOT_CLOCK) // 1_000_000


def boot_s() -> float:
    """Return seconds of the same clock."""
    return time.monotonic() if _BOOT_CLOCK is None else time.clock_gettime(_BOOT_CLOCK)


class StoreClock:
    """An estimate of the store's clock: the last answer to TIME plus the time that passed here since.

    The estimate is behind the store by the answer's way back, never ahead of it. So a ``not_after`` made from it is
    never too late.
    """

    __slots__ = ("_read_at_ms", "_store_ms", "known")

    def __init__(self) -> None:
        self._read_at_ms: int | None = None
        self._store_ms = 0
        self.known = asyncio.Event()

    def take(self, reply: Reply) -> None:
        """Take a reply to TIME: seconds and microseconds, as text."""
        if not isinstance(reply, list):
            raise TypeError("not a reply to TIME")
        seconds, micros = (int(part) for part in reply if isinstance(part, bytes))
        self._store_ms = seconds * 1000 + micros // 1000
        self._read_at_ms = boot_ms()
        self.known.set()

    def age_ms(self) -> int:
        """Return how long ago the store's clock was read; a very long time when it never was."""
        return boot_ms() - (self._read_at_ms or 0)

    def now_ms(self) -> int:
        """Return the estimate, in Unix milliseconds; raises ``StoreUnavailable`` when the clock was never read."""
        if self._read_at_ms is None:
            raise StoreUnavailable(StoreCause.AWAY, outcome_unknown=False)
        return self._store_ms + boot_ms() - self._read_at_ms
