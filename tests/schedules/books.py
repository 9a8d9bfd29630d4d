"""What a store says when times are left out, so that two runs of one story can be compared."""

import re
from collections import Counter
from typing import cast

from tests.schedules.direct import Direct

from muster_hub.store.cells import Value, unpack
from muster_hub.store.wire import Reply

_TIME = re.compile(rb"1[6-9]\d{11}")
_TIMES = (range(16 * 10**11, 20 * 10**11), range(16 * 10**14, 20 * 10**14))
COUNTERS = frozenset({b"ver", b"conn", b"seat", b"issued", b"confirmed", b"rotated_ms", b"rotated_ver", b"holds"})
"""Fields of a device that count how often it was asked, not what came of it."""
UNFINISHED = b"cuts:"
"""Fields of a device that remember cuts of a node that died; the outbox makes those cuts."""
UNREAD = re.compile(rb".*:(drained|sv:.*)")
"""Keys that hold such counters alone: how far outboxes are drained, and the minimum versions, made of ``ver``."""

NODES = frozenset({node + end for node in (b"one", b"two", b"three") for end in (b"", b"-1")})
"""A device whose node died is connected to another one in the end."""

Book = dict[bytes, object]


def read(direct: Direct) -> Book:
    """Read every key, without its times; of an outbox the records, however often each is there."""
    names = [name for name in direct.names() if not UNREAD.fullmatch(name)]
    kinds = [cast("bytes", kind) for kind in direct.ask_all([(b"TYPE", name) for name in names])]
    values = direct.ask_all([_reading(kind, name) for kind, name in zip(kinds, names, strict=True)])
    return {name: _content(kind, value) for name, kind, value in zip(names, kinds, values, strict=True)}


def _reading(kind: bytes, name: bytes) -> tuple[bytes, ...]:
    match kind:
        case b"hash":
            return (b"HGETALL", name)
        case b"zset":
            return (b"ZRANGE", name, b"0", b"-1", b"WITHSCORES")
        case b"stream":
            return (b"XRANGE", name, b"-", b"+")
    raise AssertionError(f"{name!r} is a {kind!r}")


def _content(kind: bytes, value: Reply) -> object:
    if kind == b"stream":
        entries = cast("list[list[list[bytes]]]", value)
        return Counter((entry[1][1], str(_value(entry[1][3]))) for entry in entries)
    flat = cast("list[bytes]", value)
    pairs = zip(flat[::2], flat[1::2], strict=True)
    if kind == b"zset":
        return {member: _value(score) for member, score in pairs}
    return {
        _plain(field): _value(value)
        for field, value in pairs
        if field not in COUNTERS and not field.startswith(UNFINISHED)
    }


def _plain(text: bytes) -> bytes:
    return b"T" if _TIME.fullmatch(text) else text


def _value(value: bytes) -> object:
    try:
        return [_cell(cell) for cell in unpack(value)]
    except (ValueError, TypeError):  # a hash may look like a map whose key is a list
        return _plain(value)


def _cell(cell: Value) -> object:
    if isinstance(cell, bytes) and cell in NODES:
        return "node"
    if isinstance(cell, int):
        return "T" if any(cell in times for times in _TIMES) else cell
    return [_cell(each) for each in cell] if isinstance(cell, list) else cell
