"""Mutations that keep MessagePack well-formed: what a fuzzer of bytes hardly ever comes by."""

import random
from typing import Any

import msgpack

ODD: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        127,
        128,
        255,
        256,
        2**31,
        2**32,
        2**53 - 1,
        2**53,
        2**63,
        2**64 - 1,
        1.0,
        float("nan"),
    ),
    *("", "a", "a" * 32, "a" * 32 + "\n", "ed25519", "\u00e9", "\x00", "t", b"", b"a", bytes(16), bytes(32), bytes(64)),
    *([], {}, [[]], {"": {}}, [1], {"t": "ok"}, msgpack.ExtType(5, b"x"), msgpack.Timestamp(1, 1)),
)
"""Values at the edge of something, or of another type than they look."""


def mutated(data: bytes, chance: random.Random) -> bytes | None:
    """Change one place of one MessagePack value; None where ``data`` is none."""
    try:
        value = msgpack.unpackb(data, raw=False, strict_map_key=False)
        return bytes(msgpack.packb(_changed(value, chance)))
    except (ValueError, TypeError, RecursionError, OverflowError):
        return None


def _changed(value: Any, chance: random.Random) -> Any:
    if isinstance(value, bytes) and chance.random() < 0.5 and (inside := mutated(value, chance)) is not None:
        return inside  # a body stands in its message as bytes
    if isinstance(value, list) and value and chance.random() < 0.8:
        return _changed_list(value, chance)
    if isinstance(value, dict) and value and chance.random() < 0.8:
        key = chance.choice(list(value))
        return {**value, key: _changed(value[key], chance)} if chance.random() < 0.9 else _without(value, key)
    return chance.choice(ODD)


def _changed_list(items: list[Any], chance: random.Random) -> list[Any]:
    at = chance.randrange(len(items))
    before, item, after = items[:at], items[at], items[at + 1 :]
    match chance.randrange(8):
        case 0:
            return before + after
        case 1:
            return [*before, item, item, *after]
        case _:
            return [*before, _changed(item, chance), *after]


def _without(value: dict[Any, Any], key: Any) -> dict[Any, Any]:
    return {name: kept for name, kept in value.items() if name != key}
