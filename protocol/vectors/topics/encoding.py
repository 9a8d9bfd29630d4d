"""encoding.json: bytes of bodies that must be accepted, and bytes that must be refused (SPEC.md section 2.1)."""

from typing import Any

import msgpack
from msgspec.inspect import type_info

from muster_protocol.codec import MAX_CONTAINERS, MAX_DEPTH, MAX_MESSAGE_BYTES, encode
from muster_protocol.exchange import Admission
from muster_protocol.governance import Untrust
from muster_protocol.ids import MAX_TIME_MS, Serial
from muster_protocol.reasons import Reason
from vectors.topics.cast import LAPTOP, NAS
from vectors.topics.forms import Json, Vector, accepted, fields, refused
from vectors.topics.samples import good

SERIAL = 7


def _pack(*items: object) -> bytes:
    packed: bytes = msgpack.packb(list(items))
    return packed


_CLIENT, _PEER = (msgpack.packb(client) for client in (LAPTOP.client, NAS.client))
PLAIN = _pack(1, LAPTOP.client, SERIAL, NAS.client)


def _raw(version: bytes = b"\x01", client: bytes = _CLIENT, serial: bytes = b"\x07", peer: bytes = _PEER) -> bytes:
    return b"\x94" + version + client + serial + peer


def _trust(peer_key: object) -> bytes:
    return _pack(1, LAPTOP.client, SERIAL, NAS.client, peer_key)


def _grant(profiles: object, uses: object = None) -> bytes:
    parts = (NAS.key.fingerprint, b"\x01" * 16, "join", profiles, uses, 1, 2)
    return _pack(1, LAPTOP.client, SERIAL, NAS.client, *parts)


def encoding() -> list[Vector]:
    """Return bodies in good and bad bytes, then values that are nested or claim too much."""
    return [*_good(), *_bad_bytes(), *_bad_versions(), *_bad_shapes(), *_values()]


def _body(kind: str, body: bytes) -> Json:
    return {"op": "body", "kind": kind, "body": body.hex()}


def _good() -> list[Vector]:
    latest = encode(Untrust(client=LAPTOP.client, serial=Serial(MAX_TIME_MS), peer=NAS.client))
    bodies = {
        "an untrust": ("untrust", PLAIN),
        "the latest serial": ("untrust", latest),
        "a trust": ("trust", _trust(NAS.key.fingerprint)),
        "a grant for all profiles": ("grant", _grant(None)),
        "a grant for two profiles, once": ("grant", _grant(["files", "photos"], 1)),
    }
    return [
        accepted(name, _body(kind, body), {"fields": fields(body), "same_bytes": True})
        for name, (kind, body) in bodies.items()
    ]


def _bad_bytes() -> list[Vector]:
    bodies = {
        "a ClientId that is an extension type": _pack(1, msgpack.ExtType(5, LAPTOP.client.encode()), 7, NAS.client),
        "an array in its 16-bit form": b"\xdc\x00\x04" + PLAIN[1:],
        "the version in 8 bits more than it needs": _raw(version=b"\xcc\x01"),
        "a serial in 64 bits": _raw(serial=b"\xcf" + (7).to_bytes(8, "big")),
        "a signed form of a positive serial": _raw(serial=b"\xd0\x07"),
        "text in its 16-bit form": _raw(client=b"\xda\x00\x20" + LAPTOP.client.encode()),
        "a byte behind the end": PLAIN + b"\xc0",
        "the last byte missing": PLAIN[:-1],
        "nothing": b"",
        "an array that claims four thousand million items": b"\xdd\xff\xff\xff\xff\x01",
        "text that is not UTF-8": _raw(client=b"\xd9\x20" + b"\xff" * 32),
        "a byte that MessagePack never uses": _raw(serial=b"\xc1"),
        "a map": msgpack.packb({"v": 1, "client": LAPTOP.client}),
        "an empty array": b"\x90",
        "a number": b"\x01",
    }
    return [refused(name, _body("untrust", body), Reason.MALFORMED, "encoding") for name, body in bodies.items()]


def _bad_versions() -> list[Vector]:
    found = [
        refused(f"version {version}", _body("untrust", _raw(version=data)), Reason.UNSUPPORTED, "encoding")
        for version, data in {"2": b"\x02", "0": b"\x00", "-1": b"\xff"}.items()
    ]
    bad = {"true": b"\xc3", "1.0": b"\xca\x3f\x80\x00\x00", "nil": b"\xc0", '"1"': b"\xa1\x31"}
    return found + [
        refused(f"a version that is {name}", _body("untrust", _raw(version=data)), Reason.MALFORMED, "encoding")
        for name, data in bad.items()
    ]


def _bad_shapes() -> list[Vector]:
    untrusts = {
        "a field too many": PLAIN[:1].replace(b"\x94", b"\x95") + PLAIN[1:] + b"\xc0",
        "a field too few": _pack(1, LAPTOP.client, SERIAL),
        "fields in another order": _pack(1, SERIAL, LAPTOP.client, NAS.client),
        "serial 0": _pack(1, LAPTOP.client, 0, NAS.client),
        "a serial past 2^53 - 1": _pack(1, LAPTOP.client, MAX_TIME_MS + 1, NAS.client),
        "a negative serial": _pack(1, LAPTOP.client, -7, NAS.client),
        "a serial that is true": _pack(1, LAPTOP.client, True, NAS.client),  # noqa: FBT003 - the value under test
        "a serial with a fraction": _pack(1, LAPTOP.client, 7.5, NAS.client),
        "a serial as text": _pack(1, LAPTOP.client, "7", NAS.client),
        "a ClientId as binary": _pack(1, LAPTOP.client.encode(), SERIAL, NAS.client),
        "a ClientId in upper case": _pack(1, LAPTOP.client.upper(), SERIAL, NAS.client),
        "a ClientId with a line end": _pack(1, LAPTOP.client + "\n", SERIAL, NAS.client),
        "a ClientId of 31 characters": _pack(1, LAPTOP.client[:-1], SERIAL, NAS.client),
        "a serial that is a timestamp": _pack(1, LAPTOP.client, msgpack.Timestamp(7), NAS.client),
    }
    found = [refused(name, _body("untrust", body), Reason.MALFORMED, "shape") for name, body in untrusts.items()]
    others = {
        "a fingerprint of 31 bytes": ("trust", _trust(NAS.key.fingerprint[:-1])),
        "a fingerprint as text": ("trust", _trust(NAS.key.fingerprint.hex()[:32])),
        "a fingerprint that is nil": ("trust", _trust(None)),
        "no profile in a list": ("grant", _grant([])),
        "a profile in upper case": ("grant", _grant(["Files"])),
        "a profile that starts with a dot": ("grant", _grant([".files"])),
        "a profile of 65 characters": ("grant", _grant(["a" * 65])),
        "17 profiles": ("grant", _grant([f"p{number:02}" for number in range(17)])),
        "two uses": ("grant", _grant(None, 2)),
    }
    return found + [
        refused(name, _body(kind, body), Reason.MALFORMED, "shape") for name, (kind, body) in others.items()
    ]


def _long(first: bytes, repeat: bytes, times: int, then: bytes = b"") -> Json:
    """Return bytes that are too many to stand in the file one by one."""
    return {"first": first.hex(), "repeat": repeat.hex(), "times": times, "then": then.hex()}


def _nested(opening: bytes, depth: int, innermost: bytes = b"\xc0") -> Json:
    return {"op": "value", "bytes": _long(b"", opening, depth, innermost)}


def _array(size: int) -> Json:
    """Return an array that has that many bytes, its header included."""
    items = size - 3
    return {"op": "value", "bytes": _long(b"\xdc" + items.to_bytes(2, "big"), b"\xc0", items)}


def _arrays(count: int) -> Json:
    """Return a value of that many arrays: one around the others, which are empty."""
    return {"op": "value", "bytes": _long(b"\xdc" + (count - 1).to_bytes(2, "big"), b"\x90", count - 1)}


def _long_admission(size: int) -> Json:
    """Return an admission that has that many bytes, most of them in its epoch."""
    mark = b"\x07" * 256
    values: Any = good(type_info(Admission))
    values[Admission.__struct_fields__.index("epoch")][0] = mark
    before, after = msgpack.packb(values).split(mark)
    room = size - len(before) - len(after)
    # Both the mark and what stands in its place have their length in two bytes.
    body = _long(before[:-2] + room.to_bytes(2, "big"), b"\x07", room, after)
    return {"op": "body", "kind": "admission", "body": body}


def _values() -> list[Vector]:
    deepest, over = MAX_DEPTH, MAX_DEPTH + 1
    text = b"\xda\x01\x2c" + b"a" * 300
    return [
        accepted("arrays as deep as allowed", _nested(b"\x91", deepest), {"decoded": True}),
        accepted("maps as deep as allowed", _nested(b"\x81\xa1a", deepest), {"decoded": True}),
        accepted("arrays as deep as allowed around 300 bytes", _nested(b"\x91", deepest, text), {"decoded": True}),
        accepted("a text of 300 bytes by itself", _nested(b"", 0, text), {"decoded": True}),
        refused("arrays one level too deep", _nested(b"\x91", over), Reason.MALFORMED, "encoding"),
        refused("maps one level too deep", _nested(b"\x81\xa1a", over), Reason.MALFORMED, "encoding"),
        refused("arrays too deep around 300 bytes", _nested(b"\x91", over, text), Reason.MALFORMED, "encoding"),
        refused("arrays ten thousand levels deep", _nested(b"\x91", 10_000), Reason.MALFORMED, "encoding"),
        accepted("as many arrays as allowed", _arrays(MAX_CONTAINERS), {"decoded": True}),
        refused("one array too many", _arrays(MAX_CONTAINERS + 1), Reason.MALFORMED, "encoding"),
        refused("an extension type", _nested(b"\x91", 1, b"\xd4\x05\x00"), Reason.MALFORMED, "encoding"),
        refused("a map whose key is a number", _nested(b"\x81\x01", 1), Reason.MALFORMED, "encoding"),
        accepted("as long as allowed", _array(MAX_MESSAGE_BYTES), {"decoded": True}),
        refused("one byte too long", _array(MAX_MESSAGE_BYTES + 1), Reason.TOO_LARGE, "encoding"),
        refused("a body one byte too long", _long_admission(MAX_MESSAGE_BYTES + 1), Reason.TOO_LARGE, "encoding"),
    ]
