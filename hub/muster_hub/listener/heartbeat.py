"""When a connection was last heard from, and whether it answered the last ping."""

PAYLOAD_BYTES = 8
"""A ping carries the tick of its sending, so that its answer differs from a late or an unsolicited pong."""

_NEVER = -1


class Heartbeat:
    """The heartbeat of one connection. Ticks are those of the listener's wheel."""

    __slots__ = ("_pinged_at_s", "_pinged_tick", "heard_tick", "rtt_ms")

    def __init__(self, tick: int) -> None:
        self.heard_tick = tick
        self.rtt_ms: float | None = None
        self._pinged_tick = _NEVER
        self._pinged_at_s = 0.0

    def unanswered(self) -> bool:
        """Return whether nothing was received since the last ping."""
        return self.heard_tick < self._pinged_tick

    def ping(self, tick: int, now_s: float) -> bytes:
        """Note that a ping is sent and return its payload."""
        self._pinged_tick, self._pinged_at_s = tick, now_s
        return tick.to_bytes(PAYLOAD_BYTES)

    def pong(self, payload: bytes, now_s: float) -> None:
        """Take a pong; if it answers the last ping, note the round trip in ms."""
        if self._pinged_tick != _NEVER and payload == self._pinged_tick.to_bytes(PAYLOAD_BYTES):
            self.rtt_ms = (now_s - self._pinged_at_s) * 1000
