"""Which of two durable statements about the same thing counts (SPEC.md section 2.4)."""

from collections.abc import Iterable
from enum import Enum

from msgspec import Struct

from muster_protocol.ids import MAX_TIME_MS, Hash, Serial, TimeMs

MAX_AHEAD_MS = 24 * 3600 * 1000
"""How far a serial may be ahead of the clock of the hub or device that takes it: a day."""
MAX_BEHIND_MS = 24 * 3600 * 1000
"""How far a device's clock may be behind the latest time that it is known to have reached: a day."""


class SerialVerdict(Enum):
    """What becomes of a statement that meets one about the same thing."""

    TAKEN = "taken"
    KNOWN = "known"
    OLDER = "older"
    MISMATCH = "mismatch"


class Version(Struct, frozen=True, array_like=True, order=True):
    """A statement's place among those about the same thing: its serial, then its hash."""

    serial: Serial
    hash: Hash


def compare(held: Version | None, new: Version) -> SerialVerdict:
    """Judge ``new`` against what is held.

    One serial over two bodies is the signer's fault and reported as ``MISMATCH``. So that all who see both still
    end alike in any order, the higher hash is then the one to hold: see ``wins``.
    """
    if held is None or new.serial > held.serial:
        return SerialVerdict.TAKEN
    if new.serial < held.serial:
        return SerialVerdict.OLDER
    return SerialVerdict.KNOWN if new.hash == held.hash else SerialVerdict.MISMATCH


def wins(held: Version | None, new: Version) -> bool:
    """Return whether ``new`` takes the place of what is held."""
    return held is None or new > held


def next_serial(last: int, now: TimeMs, hub_at: TimeMs | None) -> Serial:
    """Return the serial of a device's next statement: above the last one, and near the time in ms where it can be.

    The device's own clock counts up to a day past ``hub_at``, the newest time of a verified ``welcome``: a clock that
    was far ahead makes no serial that the hub would refuse. None: no ``welcome`` yet.
    """
    clock = now if hub_at is None else min(now, hub_at + MAX_AHEAD_MS)
    return Serial(max(last + 1, clock))


def next_about(serial: Serial, known: Iterable[Serial], hub_at: TimeMs | None) -> Serial:
    """Return the serial of a statement about a thing on which this device knows own ones with these serials.

    ``serial`` is the one of ``next_serial``. A copy of the key may have dated one ahead of the device's clock: the new
    one is above it where the hub can have taken it, by the newest time of a verified ``welcome``. None is above the
    largest, which so counts as none.
    """
    taken = [one + 1 for one in known if hub_at is not None and one < MAX_TIME_MS and not is_ahead(one, hub_at)]
    return Serial(max([serial, *taken]))


def is_ahead(serial: Serial, now: TimeMs) -> bool:
    """Return whether a serial is more than a day ahead of a clock in ms."""
    return serial > now + MAX_AHEAD_MS


def is_behind(now: TimeMs, reached: TimeMs) -> bool:
    """Return whether a device's clock is more than a day behind the latest time that it is known to have reached.

    That is the latest time that both its own clock and a verified ``welcome`` had reached: neither a clock nor a hub
    that was once far ahead can make it too late alone.
    """
    return now < reached - MAX_BEHIND_MS
