"""Durations in text: ``30d``, ``12h``, ``1d12h``."""

import re
import time

_UNIT_MS = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000}
_PAIRS = (("d", "h"), ("h", "m"), ("m", "s"))
_SHAPE = re.compile(r"(?:\d{1,9}[wdhms])+")
_PART = re.compile(r"(\d+)([wdhms])")

MS_PER_S = 1000


def parse_duration_ms(text: str) -> int:
    """Return the ms of a duration: numbers, each followed by w, d, h, m or s, added up. Raises ``ValueError``."""
    plain = text.strip().lower()
    if not _SHAPE.fullmatch(plain):
        raise ValueError("a duration is a number and one of w, d, h, m, s: 30d, 12h, 1d12h, 90s")
    total = sum(int(number) * _UNIT_MS[unit] for number, unit in _PART.findall(plain))
    if total == 0:
        raise ValueError("a duration must be more than zero")
    return total


def say_ms(duration_ms: int) -> str:
    """Return a duration as short text, rounded to its second unit: ``30d``, ``1d 12h``, ``4m 10s``, ``0.8s``."""
    if duration_ms < 10 * MS_PER_S:
        return f"{duration_ms / MS_PER_S:.1f}s"
    large, small = next(pair for pair in _PAIRS if duration_ms >= _UNIT_MS[pair[0]] or pair is _PAIRS[-1])
    count, rest = divmod(round(duration_ms / _UNIT_MS[small]) * _UNIT_MS[small], _UNIT_MS[large])
    parts = [(count, large), (rest // _UNIT_MS[small], small)]
    return " ".join(f"{number}{unit}" for number, unit in parts if number)


def say_since(at_ms: int) -> str:
    """Return as text how long ago a moment was, in Unix ms; none for one that this machine's clock has not reached."""
    return say_ms(max(0, _now_ms() - at_ms))


def say_until(at_ms: int) -> str:
    """Return as text how long it is to a moment, in Unix ms; none for one that is past."""
    return say_ms(max(0, at_ms - _now_ms()))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
