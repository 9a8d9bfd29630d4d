"""Which invites an agent accepts."""

from enum import StrEnum


class AcceptOption(StrEnum):
    """``--accept`` of ``muster agent``."""

    ALL = "all"
    """Accept automatic invites that a grant covers; keep those that ask in the inbox."""
    GRANTED = "granted"
    """Accept automatic invites that a grant covers; decline those that ask."""
    ASKED = "asked"
    """Decline automatic invites, even granted ones; keep those that ask in the inbox."""
    NONE = "none"
    """Decline all: this device only calls others."""
