"""The errors that this package raises."""

from muster_protocol.reasons import Reason


class MusterError(Exception):
    """Everything that Muster raises on purpose."""


class Refused(MusterError):
    """An input was refused for a typed reason (SPEC.md section 9).

    ``detail`` names the field or the rule for a developer. It never carries a value from the input.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
