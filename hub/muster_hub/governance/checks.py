"""Checks that every kind of statement shares: whose it is, and what the store answered."""

from muster_hub.routing.caller import Caller
from muster_protocol.errors import Refused
from muster_protocol.ids import ClientId
from muster_protocol.reasons import Reason


def check_own(client: ClientId, caller: Caller) -> None:
    """Raise ``Refused(mismatch)`` unless a statement is the caller's own."""
    if client != caller.client:
        raise Refused(Reason.MISMATCH, "the statement is of another device")


def check_verdict(verdict: str) -> None:
    """Raise ``Refused`` if the store has a statement that counts instead: ``replayed``, ``mismatch``."""
    match verdict:
        case "older":
            raise Refused(Reason.REPLAYED, "a newer statement about the same is held")
        case "mismatch":
            raise Refused(Reason.MISMATCH, "another statement with this serial is held")
