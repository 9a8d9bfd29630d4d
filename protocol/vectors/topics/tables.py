"""reasons.json, closes.json, serials.json: the small closed tables (SPEC.md sections 9, 3.4 and 2.4)."""

from muster_protocol.closes import CloseCode, after_close, after_refusal
from muster_protocol.ids import MAX_TIME_MS, Hash, Serial, TimeMs
from muster_protocol.reasons import REASONS, ReasonInfo
from muster_protocol.serials import MAX_AHEAD_MS, Version, compare, is_ahead, is_behind, next_about, next_serial, wins
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
    return [accepted(f"close {code}", {"code": code}, _meaning(code, names.get(code))) for code in codes]


def _meaning(code: int, name: str | None) -> Json:
    return {
        "name": name,
        "stop": 4500 <= code <= 4999,
        "after_close": after_close(code).value,
        "after_refusal": after_refusal(code, pinned=True).value,
        "after_refusal_of_another_hub": after_refusal(code, pinned=False).value,
    }


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
    day = MAX_AHEAD_MS
    return [
        *found,
        *(_next(name, last, now) for name, (last, now) in chosen.items()),
        _next("a clock that is right", NOW - 5, NOW, NOW - 1000),
        _next("a clock that is far ahead", NOW, NOW + 30 * day, NOW),
        _next("a clock a day ahead", NOW, NOW + day, NOW),
        _next("a counter that is above both", NOW + 2 * day, NOW + 30 * day, NOW),
        _next("a clock that is far behind", NOW, NOW - 30 * day, NOW),
        _about("nothing is known", [], NOW),
        _about("older ones", [NOW - 9, NOW - 1], NOW),
        _about("the same", [NOW], NOW),
        _about("later ones", [NOW + 5, NOW - 9, NOW + 7], NOW - 1000),
        _about("a day past the hub's time", [NOW + day], NOW),
        _about("more than a day past the hub's time", [NOW + 7, NOW + day + 1], NOW),
        _about("a clock that is behind", [NOW + 30 * day], NOW + 30 * day),
        _about("never met a hub", [NOW + 7], None),
        _about("the largest, and a hub's time at the end of time", [2**53 - 1, NOW + 7], 2**53 - 1),
        _ahead("now", NOW, NOW),
        _ahead("a day", NOW + day, NOW),
        _ahead("a day and a millisecond", NOW + day + 1, NOW),
        _ahead("the largest", MAX_TIME_MS, NOW),
        _behind("never met a hub", 0, 0),
        _behind("a day", NOW - day, NOW),
        _behind("a day and a millisecond", NOW - day - 1, NOW),
        _behind("1970", 0, NOW),
    ]


def _version(serial: int, digest: Hash) -> Version:
    return Version(Serial(serial), digest)


def _shown(version: Version | None) -> Json | None:
    return None if version is None else {"serial": version.serial, "hash": version.hash.hex()}


def _pair(name: str, held: Version | None, new: Version) -> Vector:
    expect = {"verdict": compare(held, new).value, "wins": wins(held, new)}
    return accepted(name, {"op": "compare", "held": _shown(held), "new": _shown(new)}, expect)


def _next(name: str, last: int, now: int, hub_at: int | None = None) -> Vector:
    serial = next_serial(last, TimeMs(now), None if hub_at is None else TimeMs(hub_at))
    return accepted(f"next: {name}", {"op": "next", "last": last, "now": now, "hub_at": hub_at}, {"serial": serial})


def _about(name: str, known: list[int], hub_at: int | None) -> Vector:
    given: Json = {"op": "about", "next": NOW, "known": known, "hub_at": hub_at}
    serial = next_about(Serial(NOW), [Serial(one) for one in known], None if hub_at is None else TimeMs(hub_at))
    return accepted(f"about: {name}", given, {"serial": serial})


def _behind(name: str, now: int, reached: int) -> Vector:
    return accepted(
        f"behind: {name}",
        {"op": "behind", "now": now, "reached": reached},
        {"behind": is_behind(TimeMs(now), TimeMs(reached))},
    )


def _ahead(name: str, serial: int, now: int) -> Vector:
    return accepted(
        f"ahead: {name}",
        {"op": "ahead", "serial": serial, "now": now},
        {"ahead": is_ahead(Serial(serial), TimeMs(now))},
    )
