"""The errors that this package raises."""

from muster_protocol.reasons import Reason


class MusterError(Exception):
    """Everything that Muster raises on purpose."""


class Refused(MusterError):
    """An input was refused for a typed reason (SPEC.md section 9).

    ``detail`` names the field or the rule for a developer. It never carries a value from the input.
    ``retry_after_ms`` is in how many ms the same input may be taken; None where time changes nothing.
    """

    def __init__(self, reason: Reason, detail: str = "", retry_after_ms: int | None = None) -> None:
        self.reason = reason
        self.detail = detail
        self.retry_after_ms = retry_after_ms
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
