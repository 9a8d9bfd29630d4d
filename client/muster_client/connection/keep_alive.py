"""The interval of pings to the hub: long, unless something on the way cuts idle connections."""

from dataclasses import dataclass

USUAL_S = 20.0
"""The interval that hubs use too."""
LEAST_S = 5.0
"""The shortest interval to learn: something that cuts faster is broken, and pings would only hide it."""
SAME_WITHIN = 0.1
"""The largest relative difference of two idle times that count as the same."""


@dataclass(slots=True)
class KeepAlive:
    """The ping interval that one link has learnt. All times are seconds.

    A proxy or a router that forgets idle connections cuts each one after the same time without traffic. Two cuts in a
    row after the same idle time, on connections that never survived a silence of that length, halve the interval. A
    connection that did survive one was cut for another reason. A learnt interval holds for one network.
    """

    usual_s: float = USUAL_S
    least_s: float = LEAST_S
    _learnt_s: float | None = None
    _died_after_s: float | None = None
    _network: str | None = None

    @property
    def interval_s(self) -> float:
        """The silence after which to ping, in seconds."""
        return self.usual_s if self._learnt_s is None else self._learnt_s

    @property
    def learnt(self) -> bool:
        """Whether the interval is shorter than usual."""
        return self._learnt_s is not None

    def connected(self, network: str) -> None:
        """Record a connection from this local address; another one than before is another network."""
        if network != self._network:
            self._network, self._learnt_s, self._died_after_s = network, None, None

    def died(self, idle_s: float, outlived_s: float) -> bool:
        """Record that a connection broke after ``idle_s`` of silence, and return whether the interval became shorter.

        ``outlived_s`` is the longest silence after which that connection still worked.
        """
        before, self._died_after_s = self._died_after_s, None
        if idle_s <= self.least_s or idle_s <= outlived_s * (1 + SAME_WITHIN):
            return False
        if before is None or abs(idle_s - before) > SAME_WITHIN * before:
            self._died_after_s = idle_s
            return False
        shorter = max(self.least_s, min(idle_s, self.interval_s) / 2)
        if shorter >= self.interval_s:
            return False
        self._learnt_s = shorter
        return True
