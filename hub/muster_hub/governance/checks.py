"""Checks that every kind of statement shares: whose it is, and what the store answered."""

from datetime import UTC, datetime

from muster_hub.routing.caller import Caller
from muster_hub.store.adapter import Store
from muster_protocol.errors import Refused
from muster_protocol.ids import ClientId, Serial, TimeMs
from muster_protocol.reasons import Reason
from muster_protocol.serials import is_ahead


def check_own(client: ClientId, caller: Caller) -> None:
    """Raise ``Refused(mismatch)`` unless a statement is the caller's own."""
    if client != caller.client:
        raise Refused(Reason.MISMATCH, "the statement is of another device")


async def check_serial(store: Store, serial: Serial) -> None:
    """Raise ``Refused(clock_ahead)`` for a serial more than a day ahead of the store's clock; ``StoreUnavailable``."""
    now = TimeMs(await store.now_ms())
    if is_ahead(serial, now):
        raise Refused(Reason.CLOCK_AHEAD, f"dated {_shown(serial)}, and the hub's clock says {_shown(now)}")


def _shown(time_ms: int) -> str:
    """Return a time in UTC, or the bare number where no date has room for it."""
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="seconds")
    except (OSError, OverflowError, ValueError):  # which of them depends on the platform
        return f"{time_ms} ms"


def check_verdict(verdict: str) -> None:
    """Raise ``Refused`` if the store has a statement that counts instead: ``replayed``, ``mismatch``."""
    match verdict:
        case "older":
            raise Refused(Reason.REPLAYED, "a newer statement about the same is held")
        case "mismatch":
            raise Refused(Reason.MISMATCH, "another statement with this serial is held")
