"""reasons.json, closes.json, serials.json: the small closed tables (SPEC.md sections 9, 3.4 and 2.4)."""

from muster_protocol.closes import CloseCode
from muster_protocol.ids import MAX_TIME_MS, Hash, Serial, TimeMs
from muster_protocol.reasons import REASONS, ReasonInfo
from muster_protocol.serials import Version, compare, next_serial, wins
from vectors.topics.cast import NOW
from vectors.topics.forms import Json, Vector, accepted

LOW, HIGH = Hash(b"\x01" * 32), Hash(b"\x02" * 32)


def reasons() -> list[Vector]:
    """Return the whole table of reasons."""
    return [accepted(reason.value, {"reason": reason.value}, _row(info)) for reason, info in REASONS.items()]


def _row(info: ReasonInfo) -> Json:
    return {
        "code": info.code,
        "category": info.category.value,
        "sayers": sorted(info.sayers),
        "retry": info.retry,
        "sentence": info.sentence,
        "next_step": info.next_step,
    }


def closes() -> list[Vector]:
    """Return every close code, and codes that this version does not know."""
    names = {code.value: code.name.lower() for code in CloseCode}
    codes = sorted({*names, 1000, 1001, 1006, 1011, 3000, 4000, 4499, 4500, 4599, 4999, 5000})
    return [
        accepted(f"close {code}", {"code": code}, {"name": names.get(code), "stop": 4500 <= code <= 4999})
        for code in codes
    ]


def serials() -> list[Vector]:
    """Return pairs of statements about the same thing, and the serials that a device chooses."""
    pairs: dict[str, tuple[Version | None, Version]] = {
        "nothing held": (None, _version(5, LOW)),
        "a higher serial": (_version(5, HIGH), _version(6, LOW)),
        "a lower serial": (_version(6, LOW), _version(5, HIGH)),
        "the same again": (_version(5, LOW), _version(5, LOW)),
        "one serial, a higher hash": (_version(5, LOW), _version(5, HIGH)),
        "one serial, a lower hash": (_version(5, HIGH), _version(5, LOW)),
    }
    found = [_pair(name, *pair) for name, pair in pairs.items()]
    chosen = {"the clock is ahead": (NOW - 1, NOW), "the clock stands": (NOW, NOW), "the clock went back": (NOW, 7)}
    chosen["the first"] = (0, NOW)
    chosen["a device with its clock at the end of time"] = (NOW, MAX_TIME_MS)
    return found + [_next(name, last, now) for name, (last, now) in chosen.items()]


def _version(serial: int, digest: Hash) -> Version:
    return Version(Serial(serial), digest)


def _shown(version: Version | None) -> Json | None:
    return None if version is None else {"serial": version.serial, "hash": version.hash.hex()}


def _pair(name: str, held: Version | None, new: Version) -> Vector:
    expect = {"verdict": compare(held, new).value, "wins": wins(held, new)}
    return accepted(name, {"op": "compare", "held": _shown(held), "new": _shown(new)}, expect)


def _next(name: str, last: int, now: int) -> Vector:
    return accepted(
        f"next: {name}", {"op": "next", "last": last, "now": now}, {"serial": next_serial(last, TimeMs(now))}
    )
