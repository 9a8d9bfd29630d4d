"""WebSocket close codes in two families: come back, or stop (SPEC.md section 3.4)."""

from enum import IntEnum, StrEnum

from muster_protocol.reasons import Reason

STOP_FROM = 4500
"""From here to 4999 the cause does not pass with time. After all others, also unknown and standard ones, it may."""


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
    NOT_ENROLLED = 4009
    REVOKED = 4501
    KEY_MISMATCH = 4502
    INCOMPATIBLE = 4503
    PROTOCOL_VIOLATION = 4504
    SUPERSEDED = 4505
    UNSUPPORTED_DATA = 4506
    WRONG_ORIGIN = 4507


_CODES = {
    Reason.DEVICE_REVOKED: CloseCode.REVOKED,
    Reason.KEY_MISMATCH: CloseCode.KEY_MISMATCH,
    Reason.HUB_KEY_CHANGED: CloseCode.KEY_MISMATCH,
    Reason.INCOMPATIBLE_PROTOCOL: CloseCode.INCOMPATIBLE,
    Reason.UNSUPPORTED: CloseCode.INCOMPATIBLE,
    Reason.WRONG_ORIGIN: CloseCode.WRONG_ORIGIN,
    Reason.OVERLOADED: CloseCode.OVERLOADED,
    Reason.STORE_UNAVAILABLE: CloseCode.STORE_UNAVAILABLE,
    Reason.STORE_FULL: CloseCode.STORE_UNAVAILABLE,
    Reason.INTERNAL: CloseCode.INTERNAL,
    Reason.EXPIRED: CloseCode.HANDSHAKE_TIMEOUT,
    Reason.NOT_ENROLLED: CloseCode.NOT_ENROLLED,
    Reason.CODE_USED: CloseCode.NOT_ENROLLED,
    Reason.CODE_EXPIRED: CloseCode.NOT_ENROLLED,
}


def code_of(reason: Reason) -> CloseCode:
    """Return the close code of a ``hello`` that was refused for this reason (SPEC.md section 4.1)."""
    return _CODES.get(reason, CloseCode.PROTOCOL_VIOLATION)


def is_stop(code: int) -> bool:
    """Return whether ``code`` is of the stop family, also for codes that this version does not know."""
    return STOP_FROM <= code <= 4999


class NextTry(StrEnum):
    """When a device connects again after a code from its hub (SPEC.md section 4.3)."""

    USUAL = "usual"
    """After its back-off."""
    NEW_INSTANCE = "new_instance"
    """After its longest back-off, and under a new instance id."""
    RARE = "rare"
    """Every 10 minutes: a person has to act, at the hub or at the device, and may do so at any time."""
    NEVER = "never"


def after_close(code: int) -> NextTry:
    """Return what a close code means. The hub signs no close, so none stops a device for good.

    A device that was revoked connects again, and the hub's signed refusal stops it.
    """
    if code == CloseCode.SUPERSEDED:
        return NextTry.NEW_INSTANCE
    return NextTry.RARE if is_stop(code) and code != CloseCode.REVOKED else NextTry.USUAL


def after_refusal(code: int, *, pinned: bool) -> NextTry:
    """Return what the code of a signed refusal means; ``pinned``: the signer is the hub that this device pinned."""
    if not pinned:
        return NextTry.USUAL
    return NextTry.NEVER if code == CloseCode.REVOKED else after_close(code)
