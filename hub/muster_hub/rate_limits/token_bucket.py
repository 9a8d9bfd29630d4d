"""Token buckets: what one party may do per second, and at once."""

import math
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Rate:
    """An allowance: ``per_s`` units a second for ever, ``burst`` units at once, ``debt_limit`` units beyond that.

    The debt limit tells eagerness from abuse: see ``TokenBucket.charge``.
    """

    per_s: float
    burst: float
    debt_limit: float = 0.0

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for a rate that allows nothing."""
        if self.per_s <= 0 or self.burst <= 0 or self.debt_limit < 0:
            raise ValueError("a rate needs per_s and burst above 0 and a debt_limit of at least 0")


UNLIMITED = Rate(per_s=1e18, burst=1e18)
"""More than anyone asks for, and finite: nothing is counted in infinities."""


class TokenBucket:
    """What is left of one party's ``Rate``. Full at first; the time in seconds, monotonic, is an argument."""

    __slots__ = ("_at_s", "_left", "_rate")

    def __init__(self, rate: Rate, now_s: float) -> None:
        self._rate = rate
        self._left = rate.burst
        self._at_s = now_s

    def take(self, units: float, now_s: float) -> bool:
        """Take ``units`` if all are available, or the whole burst where they are more, and return whether they were.

        What is above the burst is owed.
        """
        self._refill(now_s)
        if min(units, self._rate.burst) > self._left:
            return False
        self._left -= units
        return True

    def charge(self, units: float, now_s: float) -> float:
        """Take ``units`` that were spent already, and return what is left: below 0 is a debt, in units.

        For what cannot be undone, such as bytes that have arrived. A debtor should be made to wait; one whose debt is
        above ``Rate.debt_limit`` did not mean to be served (see ``abused``).
        """
        self._refill(now_s)
        self._left -= units
        return self._left

    def abused(self) -> bool:
        """Return whether the debt is above the limit of the rate."""
        return -self._left > self._rate.debt_limit

    def overdraft_s(self, now_s: float) -> float:
        """Return the seconds until the debt is not above the limit of the rate."""
        self._refill(now_s)
        return max(0.0, (-self._left - self._rate.debt_limit) / self._rate.per_s)

    def wait_s(self, now_s: float, units: float = 0.0) -> float:
        """Return the seconds until ``units`` can be taken (0: until the debt is paid)."""
        self._refill(now_s)
        return max(0.0, (min(units, self._rate.burst) - self._left) / self._rate.per_s)

    def _refill(self, now_s: float) -> None:
        if now_s > self._at_s:  # a clock that went back changes nothing
            self._left = min(self._rate.burst, self._left + (now_s - self._at_s) * self._rate.per_s)
            self._at_s = now_s


class Allowances(Generic[K]):
    """A token bucket for each party, also after it has gone. The least recently used one of ``most`` is forgotten.

    Nothing limits a party of None, nor any where the rate is None.
    """

    __slots__ = ("_buckets", "_most", "_rate", "_unlimited")

    def __init__(self, rate: Rate | None, most: int) -> None:
        self._rate = rate
        self._most = most
        self._buckets: OrderedDict[K, TokenBucket] = OrderedDict()
        self._unlimited = TokenBucket(UNLIMITED, 0)

    def wait_ms(self, party: K | None, units: float, now_s: float) -> int:
        """Take ``units`` and return 0; or take nothing and return in how many ms they will be available."""
        if self._bucket(party, now_s).take(units, now_s):
            return 0
        return self.lacking_ms(party, units, now_s)

    def lacking_ms(self, party: K | None, units: float, now_s: float) -> int:
        """Return in how many ms ``units`` will be available; 0 where they are."""
        return math.ceil(self._bucket(party, now_s).wait_s(now_s, units) * 1000)

    def charge(self, party: K | None, units: float, now_s: float) -> None:
        """Take ``units`` that were spent already; what is not there is owed."""
        self._bucket(party, now_s).charge(units, now_s)

    def overdraft_s(self, party: K | None, now_s: float) -> float:
        """Return the seconds until the party's debt is not above the limit of the rate."""
        return self._bucket(party, now_s).overdraft_s(now_s)

    def _bucket(self, party: K | None, now_s: float) -> TokenBucket:
        if party is None or self._rate is None:
            return self._unlimited
        bucket = self._buckets.get(party)
        if bucket is None:
            bucket = self._buckets[party] = TokenBucket(self._rate, now_s)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(party)
        return bucket
