"""Why a try or a connection ended, and what that means for the next try (SPEC.md section 3.4)."""

from dataclasses import dataclass

from muster_client.connection.backoff import CAP_S, RARE_S
from muster_client.connection.connection import ConnectionLost
from muster_client.errors import DataNotWritten, HubBusy, HubKeyChanged, HubRefused, NoReply, Trouble
from muster_protocol.closes import CloseCode, NextTry, after_close
from muster_protocol.reasons import Reason

STOP_REASONS = {
    CloseCode.REVOKED.value: Reason.DEVICE_REVOKED,
    CloseCode.KEY_MISMATCH.value: Reason.KEY_MISMATCH,
    CloseCode.INCOMPATIBLE.value: Reason.INCOMPATIBLE_PROTOCOL,
    CloseCode.PROTOCOL_VIOLATION.value: Reason.MALFORMED,
    CloseCode.SUPERSEDED.value: Reason.SUPERSEDED,
    CloseCode.UNSUPPORTED_DATA.value: Reason.MALFORMED,
    CloseCode.WRONG_ORIGIN.value: Reason.WRONG_ORIGIN,
}
"""The reason for each close code whose cause does not pass with time."""
_RARE = "this does not pass with time, so the agent tries again only every 10 minutes"

LinkError = HubRefused | HubKeyChanged | NoReply | DataNotWritten


@dataclass(frozen=True, slots=True)
class Loss:
    """Why there is no connection, and how long to wait at least before the next try.

    ``slow``: an early try would do harm or cannot help. ``next_try``: what the hub's code means for it.
    """

    cause: str
    at_least_s: float = 0.0
    reason: Reason | None = None
    sentence: str = ""
    slow: bool = False
    next_try: NextTry = NextTry.USUAL


def loss_from(error: LinkError) -> Loss:
    """Return what an error means for the next try."""
    match error:
        case HubRefused():
            return _after("refused", error, error.reason, error.next_try)
        case HubKeyChanged():
            return Loss("hub_key_changed", 0.0, Reason.HUB_KEY_CHANGED, str(error), slow=True)
        case DataNotWritten():
            return Loss("data_unwritable", sentence=str(error))
        case ConnectionLost():
            return _from_lost(error)
        case HubBusy():
            return Loss("refused", _seconds(error.retry_after_ms), error.reason)
        case NoReply():
            plain = error.trouble is Trouble.HUB_UNREACHABLE
            return Loss("unreachable" if plain else error.trouble.value, sentence=str(error))


def _from_lost(lost: ConnectionLost) -> Loss:
    next_try = after_close(lost.code)
    cause = "superseded" if next_try is NextTry.NEW_INSTANCE else f"closed_{lost.code}"
    return _after(cause, lost, STOP_REASONS.get(lost.code), next_try)


def _after(cause: str, error: HubRefused | ConnectionLost, reason: Reason | None, next_try: NextTry) -> Loss:
    """Return the loss for a code of the hub."""
    wait_s = _seconds(error.retry_after_ms)
    match next_try:
        case NextTry.NEW_INSTANCE:
            # Two copies of one device would else take the place from each other without end.
            return Loss(cause, max(wait_s, CAP_S), reason, slow=True, next_try=next_try)
        case NextTry.RARE:
            sentence = f"{_sentence(error)}; {_RARE}"
            return Loss(cause, max(wait_s, RARE_S), reason, sentence, slow=True, next_try=next_try)
        case _:
            sentence = "" if isinstance(error, HubRefused) else _sentence(error)
            return Loss(cause, wait_s, reason, sentence, next_try=next_try)


def _sentence(error: HubRefused | ConnectionLost) -> str:
    if isinstance(error, HubRefused) or error.died_idle_s is None:
        return str(error)
    return f"the connection to the hub broke after {error.died_idle_s:.0f} s of silence"


def _seconds(milliseconds: int | None) -> float:
    return (milliseconds or 0) / 1000
