"""Which of two durable statements about the same thing counts (SPEC.md section 2.4)."""

from enum import Enum

from msgspec import Struct

from muster_protocol.ids import Hash, Serial, TimeMs


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


def next_serial(last: int, now: TimeMs) -> Serial:
    """Return the serial of a device's next statement: the larger of the last plus one and the clock in ms."""
    return Serial(max(last + 1, now))
