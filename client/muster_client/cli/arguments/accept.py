"""What an agent says yes to, as its person sets it."""

from enum import StrEnum


class AcceptOption(StrEnum):
    """``--accept`` of ``muster agent``."""

    ALL = "all"
    """What a grant covers, by itself; who asks waits in the inbox."""
    GRANTED = "granted"
    """What a grant covers; who asks is declined."""
    ASKED = "asked"
    """Nothing by itself, whatever was granted; who asks waits in the inbox."""
    NONE = "none"
    """Nothing: this device only calls others."""
