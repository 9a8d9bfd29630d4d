"""The receive rate of one connection, in frames and in bytes together."""

from enum import Enum, auto

from websockets.frames import Frame, Opcode
from websockets.protocol import Event

from muster_hub.listener.settings import IDLE_FRAME
from muster_hub.rate_limits.token_bucket import Rate, TokenBucket

_ENDING = frozenset({Opcode.BINARY, Opcode.CONT})
"""The kinds of frames that can end a message."""


class IntakeVerdict(Enum):
    """The consequence of a read for the next one."""

    FREE = auto()
    OWING = auto()
    """Stop reading until the debt is paid."""
    ABUSED = auto()
    """The debt is above the limit: this is abuse."""


class Intake:
    """The two allowances of a connection. A rate of None means no limit of that kind."""

    __slots__ = ("_bytes", "_frames")

    def __init__(self, frame_rate: Rate | None, byte_rate: Rate | None, now_s: float) -> None:
        self._frames = None if frame_rate is None else TokenBucket(frame_rate, now_s)
        self._bytes = None if byte_rate is None else TokenBucket(byte_rate, now_s)

    def charge(self, frames: int, size: int, now_s: float) -> IntakeVerdict:
        """Count one read of ``size`` bytes in which ``frames`` frames were completed, control frames too."""
        verdict = IntakeVerdict.FREE
        for bucket, units in ((self._frames, frames), (self._bytes, size)):
            if bucket is None or not units or bucket.charge(units, now_s) >= 0:
                continue
            if bucket.abused():
                return IntakeVerdict.ABUSED
            verdict = IntakeVerdict.OWING
        return verdict

    def paid(self, now_s: float) -> bool:
        """Return whether there is no debt left."""
        return all(bucket is None or bucket.wait_s(now_s) == 0 for bucket in (self._frames, self._bytes))


def weight(events: list[Event], *, little: bool) -> int:
    """Return what a part of a read counts as, in frames; ``little`` is a whole read of few bytes."""
    messages = sum(isinstance(event, Frame) and event.fin and event.opcode in _ENDING for event in events)
    idle = len(events) - messages if events else little
    return messages + IDLE_FRAME * idle
