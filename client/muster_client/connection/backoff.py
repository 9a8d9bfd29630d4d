"""The waits between tries: full jitter from the first try on, and a slow reset (SPEC.md section 3.4)."""

from dataclasses import dataclass

BASE_S = 1.0
"""The first wait is random between zero and this; the limit doubles with each further one."""
CAP_S = 60.0
STABLE_S = 60.0
"""A connection that lasted this long resets the waits."""
RARE_S = 600.0
"""The wait where a person has to act, at the hub or at the device, before a try can succeed."""
MAX_RETRY_AFTER_S = 600.0
"""The longest wait that a hub can ask for."""


@dataclass(slots=True)
class Backoff:
    """The waits of one link. Times are by a monotonic clock, in seconds; ``roll`` is a random number from 0 to 1."""

    _failures: int = 0
    _up_since: float | None = None

    def connected(self, now: float) -> None:
        """Record that the hub said welcome."""
        self._up_since = now

    def lost(self, now: float) -> None:
        """Record that the connection ended, or that a try failed."""
        if self._up_since is not None and now - self._up_since >= STABLE_S:
            self._failures = 0
        self._up_since = None
        self._failures += 1

    def delay_s(self, roll: float, *, at_least_s: float = 0.0) -> float:
        """Return the next wait: what the hub asked for, within its limit, plus a random time up to the ceiling."""
        doublings = min(self._failures - 1, 16) if self._failures else 0
        ceiling = min(CAP_S, BASE_S * (1 << doublings))
        return min(at_least_s, MAX_RETRY_AFTER_S) + roll * ceiling

    def longest(self) -> None:
        """Make the next waits the longest: an early try would do harm or cannot help."""
        self._failures = 16
