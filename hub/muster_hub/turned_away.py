"""How the door says no."""

from muster_protocol.closes import CloseCode
from muster_protocol.reasons import Reason


class TurnedAway(Exception):
    """A device is not let in: the close code, the reason, and when to come back if at all."""

    def __init__(self, code: CloseCode, reason: Reason, retry_after_ms: int | None = None) -> None:
        super().__init__(f"{reason} ({code.name})")
        self.code = code
        self.reason = reason
        self.retry_after_ms = retry_after_ms
