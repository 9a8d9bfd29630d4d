"""WebSocket close codes in two families: come back, or stop (SPEC.md section 3.4)."""

from enum import IntEnum

STOP_FROM = 4500
"""Codes from here to 4999 tell the device to stop. All others, also unknown and standard ones, to come back."""


class CloseCode(IntEnum):
    """The codes that a hub closes with."""

    GOING_AWAY = 4001
    OVERLOADED = 4002
    STORE_UNAVAILABLE = 4003
    SLOW_READER = 4004
    HANDSHAKE_TIMEOUT = 4005
    KEEPALIVE_TIMEOUT = 4006
    RATE_LIMITED = 4007
    INTERNAL = 4008
    REVOKED = 4501
    KEY_MISMATCH = 4502
    INCOMPATIBLE = 4503
    PROTOCOL_VIOLATION = 4504
    SUPERSEDED = 4505
    UNSUPPORTED_DATA = 4506


def is_stop(code: int) -> bool:
    """Return whether ``code`` is of the stop family, also for codes that this version does not know."""
    return STOP_FROM <= code <= 4999
