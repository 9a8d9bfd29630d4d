"""Which of two statements counts, and what the next serial is."""

import pytest

from muster_protocol.ids import Hash, Serial, TimeMs
from muster_protocol.serials import MAX_AHEAD_MS, SerialVerdict, Version, compare, next_about, next_serial, wins


def _version(serial: int, first: int) -> Version:
    return Version(Serial(serial), Hash(bytes([first]) * 32))


HELD = _version(5, 5)


@pytest.mark.parametrize(
    ("held", "new", "verdict", "taken"),
    [
        (None, _version(1, 0), SerialVerdict.TAKEN, True),
        (HELD, _version(6, 0), SerialVerdict.TAKEN, True),
        (HELD, _version(4, 9), SerialVerdict.OLDER, False),
        (HELD, HELD, SerialVerdict.KNOWN, False),
        (HELD, _version(5, 9), SerialVerdict.MISMATCH, True),
        (HELD, _version(5, 1), SerialVerdict.MISMATCH, False),
    ],
)
def test_verdicts(held: Version | None, new: Version, verdict: SerialVerdict, taken: bool) -> None:
    assert compare(held, new) is verdict
    assert wins(held, new) == taken


@pytest.mark.parametrize(("last", "now", "expected"), [(0, 0, 1), (0, 7, 7), (7, 7, 8), (9, 7, 10), (6, 7, 7)])
def test_the_next_serial_is_larger_and_not_behind_the_clock(last: int, now: int, expected: int) -> None:
    assert next_serial(last, TimeMs(now), None) == expected


@pytest.mark.parametrize(
    ("known", "hub_at", "expected"),
    [
        ((), 100, 7),
        ((6,), 100, 7),
        ((7,), 100, 8),
        ((3, 9, 5), 100, 10),
        ((MAX_AHEAD_MS + 100,), 100, MAX_AHEAD_MS + 101),
        ((MAX_AHEAD_MS + 101, 9), 100, 10),
        ((9,), None, 7),
    ],
)
def test_the_next_serial_about_a_peer_is_above_those_that_the_hub_can_have_taken(
    known: tuple[int, ...], hub_at: int | None, expected: int
) -> None:
    at = None if hub_at is None else TimeMs(hub_at)
    assert next_about(Serial(7), [Serial(one) for one in known], at) == expected
