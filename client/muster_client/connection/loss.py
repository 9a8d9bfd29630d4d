"""Why a try or a connection ended, and what that means for the next try (SPEC.md section 3.4)."""

from dataclasses import dataclass

from muster_client.connection.backoff import CAP_S
from muster_client.connection.connection import ConnectionLost
from muster_client.errors import DataNotWritten, HubKeyChanged, HubRefused, HubUnreachable, Trouble
from muster_protocol.closes import CloseCode
from muster_protocol.reasons import Reason

STOP_REASONS = {
    CloseCode.REVOKED.value: Reason.DEVICE_REVOKED,
    CloseCode.KEY_MISMATCH.value: Reason.KEY_MISMATCH,
    CloseCode.INCOMPATIBLE.value: Reason.INCOMPATIBLE_PROTOCOL,
}
"""The reason for each close code that ends the retries after ``welcome``; any other means ``malformed``."""

LinkError = HubRefused | HubKeyChanged | HubUnreachable | DataNotWritten


@dataclass(frozen=True, slots=True)
class Loss:
    """Why there is no connection, and how long to wait at least before the next try.

    ``slow``: an early try would do harm or cannot help. ``stop``: the hub proved that no further try will help.
    ``superseded``: another process took this connection's place, so the next try is made as a new instance.
    """

    cause: str
    at_least_s: float = 0.0
    reason: Reason | None = None
    sentence: str = ""
    slow: bool = False
    stop: bool = False
    superseded: bool = False


def loss_from(error: LinkError) -> Loss:
    """Return what an error means for the next try."""
    match error:
        case HubRefused():
            return Loss("refused", _seconds(error.retry_after_ms), error.reason, stop=error.stop)
        case HubKeyChanged():
            return Loss("hub_key_changed", 0.0, Reason.HUB_KEY_CHANGED, str(error), slow=True)
        case DataNotWritten():
            return Loss("data_unwritable", sentence=str(error))
        case ConnectionLost():
            return _from_lost(error)
        case HubUnreachable():
            plain = error.trouble is Trouble.HUB_UNREACHABLE
            return Loss("unreachable" if plain else error.trouble.value, sentence=str(error))


def _from_lost(lost: ConnectionLost) -> Loss:
    if lost.code == CloseCode.SUPERSEDED:
        # Another process of this device took the connection's place. This one comes back much later, so that two
        # copies of one device do not take it from each other without end.
        return Loss("superseded", CAP_S, Reason.SUPERSEDED, slow=True, superseded=True)
    if lost.stop:
        return Loss(f"closed_{lost.code}", reason=STOP_REASONS.get(lost.code, Reason.MALFORMED), stop=True)
    return Loss(f"closed_{lost.code}", _seconds(lost.retry_after_ms), sentence=_sentence(lost))


def _sentence(lost: ConnectionLost) -> str:
    if lost.died_idle_s is None:
        return str(lost)
    return f"the connection to the hub broke after {lost.died_idle_s:.0f} s of silence"


def _seconds(milliseconds: int | None) -> float:
    return (milliseconds or 0) / 1000
