"""Any bytes at all, and every other way to write the same values."""

import struct
from typing import Any

import msgpack
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property.shapes import values_of

from muster_protocol.cards import Card, Rotation
from muster_protocol.codec import (
    MAX_DEPTH,
    MAX_MESSAGE_BYTES,
    convert,
    decode_closed,
    decode_exact,
    encode,
    unpack,
)
from muster_protocol.connect import Connect, Hello, RefusedBody, Welcome
from muster_protocol.epochs import Epoch
from muster_protocol.errors import Refused
from muster_protocol.exchange import Admission, Answer, Invite, Joined, Leave
from muster_protocol.frames import FRAMES, Frame, Ok, decode_frame, encode_frame
from muster_protocol.governance import Grant, Revocation, Trust, Untrust
from muster_protocol.hub_keys import HubRotation
from muster_protocol.reasons import Reason
from muster_protocol.signed import Body

BODIES: list[type[Body]] = [
    Card,
    Rotation,
    Trust,
    Untrust,
    Grant,
    Revocation,
    Hello,
    Connect,
    Welcome,
    RefusedBody,
    HubRotation,
    Invite,
    Answer,
    Admission,
    Joined,
    Leave,
    Epoch,
]
TYPED = {Reason.MALFORMED, Reason.UNSUPPORTED, Reason.TOO_LARGE}

frames = st.sampled_from(list(FRAMES.values())).flatmap(values_of)
_scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(max_size=8), st.binary(max_size=8)
)
_extensions = st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=16))
_times = st.builds(msgpack.Timestamp, st.integers(-(2**63), 2**63 - 1), st.integers(0, 10**9 - 1))
anything = st.recursive(
    st.one_of(_scalars, _extensions, _times),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4) | st.binary(max_size=4), inner),
    max_leaves=12,
)


def _typed(read: Any, data: bytes) -> object:
    """Read; a typed refusal is as good as a value, and nothing else may come."""
    try:
        return read(data)
    except Refused as refused:
        return refused if refused.reason in TYPED else pytest.fail(f"not a codec's reason: {refused.reason}")


@given(st.binary(max_size=300), st.sampled_from(BODIES))
def test_p19_codec_takes_any_bytes(data: bytes, body: type[Body]) -> None:
    """The attacker needs no key to send bytes."""
    _typed(decode_frame, data)
    _typed(lambda read: decode_closed(read, body), data)


@given(anything, st.sampled_from(BODIES))
def test_p19_codec_takes_any_messagepack(value: object, body: type[Body]) -> None:
    """The attacker needs no key to send well-formed bytes of the wrong shape."""
    _typed(decode_frame, msgpack.packb(value))
    _typed(lambda read: decode_closed(read, body), msgpack.packb([1, *value] if isinstance(value, list) else value))


@pytest.mark.parametrize("tag", sorted(FRAMES))
@given(value=anything, numbered=st.booleans())
@settings(max_examples=10)
def test_p19_codec_takes_any_fields(tag: str, value: object, numbered: bool) -> None:
    """The attacker names each type of message, with no fields, or with wrong ones."""
    names = [name for name in FRAMES[tag].__struct_fields__ if not (numbered and name in {"id", "re"})]
    _typed(decode_frame, msgpack.packb({"t": tag}))
    _typed(decode_frame, msgpack.packb({"t": tag, "id": 1, "re": 1, **dict.fromkeys(names, value)}))


@given(frames, st.binary(min_size=1, max_size=3), st.integers(0, 2**16), st.sampled_from(BODIES))
def test_p19_codec_takes_altered_messages(frame: Frame, noise: bytes, place: int, body: type[Body]) -> None:
    """The attacker alters a message of anybody's."""
    data = bytearray(encode_frame(frame))
    at = place % len(data)
    data[at : at + len(noise)] = noise
    _typed(decode_frame, bytes(data))
    _typed(lambda read: decode_closed(read, body), bytes(data))


@pytest.mark.parametrize("tag", sorted(FRAMES))
@given(choose=st.data(), noise=st.binary(max_size=2), place=st.integers(0, 2**16))
@settings(max_examples=20)
def test_p19_codec_short_way_takes_nothing_that_the_long_way_refuses(
    tag: str, choose: st.DataObject, noise: bytes, place: int
) -> None:
    """The attacker alters a message so that it might still be read."""
    data = bytearray(encode_frame(choose.draw(values_of(FRAMES[tag]))))
    at = place % len(data)
    data[at : at + len(noise)] = noise
    exact = decode_exact(bytes(data), msgspec.msgpack.Decoder(FRAMES[tag]))
    assert exact is not None or noise
    if exact is not None:
        assert convert(unpack(bytes(data)), FRAMES[tag]) == exact


@pytest.mark.parametrize("tag", sorted(FRAMES))
@given(choose=st.data())
@settings(max_examples=5)
def test_p19_codec_reads_what_it_writes(tag: str, choose: st.DataObject) -> None:
    """No attack: what one side encodes the other decodes to the same, and unknown fields change nothing."""
    frame = choose.draw(values_of(FRAMES[tag]))
    data = encode_frame(frame)
    assert decode_frame(data) == frame
    known = msgpack.unpackb(data)
    assert decode_frame(msgpack.packb({**known, "later": [1, {"x": b""}]})) == frame


def _long(value: object, choose: st.DataObject) -> Any:
    """Write a value in a form that may be longer than need be."""
    match value:
        case int() if not isinstance(value, bool) and value >= 0:
            forms = [(b"\xcc", "B"), (b"\xcd", ">H"), (b"\xce", ">I"), (b"\xcf", ">Q"), (b"\xd3", ">q")]
            fitting = [
                tag + struct.pack(form, value) for tag, form in forms if value < 2 ** (8 * struct.calcsize(form) - 1)
            ]
            return choose.draw(st.sampled_from([msgpack.packb(value), *fitting]))
        case str():
            data = value.encode()
            return choose.draw(st.sampled_from([msgpack.packb(value), b"\xda" + struct.pack(">H", len(data)) + data]))
        case bytes():
            return choose.draw(st.sampled_from([msgpack.packb(value), b"\xc6" + struct.pack(">I", len(value)) + value]))
        case list():
            head = choose.draw(st.sampled_from([msgpack.Packer().pack_array_header(len(value)), _array32(len(value))]))
            return head + b"".join(_long(item, choose) for item in value)
        case _:
            packed: bytes = msgpack.packb(value)
            return packed


def _array32(length: int) -> bytes:
    return b"\xdd" + struct.pack(">I", length)


@pytest.mark.parametrize("kind", BODIES)
@given(choose=st.data())
@settings(max_examples=10)
def test_p19_codec_accepts_one_encoding(kind: type[Body], choose: st.DataObject) -> None:
    """The attacker writes the same values in longer forms; M, whose signature would be good, does so too."""
    body = choose.draw(values_of(kind))
    data = encode(body)
    assert decode_closed(data, type(body)) == body
    assert encode(decode_closed(data, type(body))) == data
    other = _long(msgpack.unpackb(data), choose)
    if other != data:
        with pytest.raises(Refused) as refused:
            decode_closed(other, type(body))
        assert refused.value.reason is Reason.MALFORMED


_LOOKS_ALIKE: dict[type, Any] = {
    bool: int,
    int: float,
    str: lambda text: text.encode(),
    bytes: lambda data: data.decode("latin-1"),
}


@pytest.mark.parametrize("kind", BODIES)
@given(choose=st.data())
@settings(max_examples=10)
def test_p19_codec_accepts_no_other_fields(kind: type[Body], choose: st.DataObject) -> None:
    """The attacker leaves fields out, adds, repeats or swaps them, or gives a value that only looks alike."""
    body = choose.draw(values_of(kind))
    fields: list[Any] = msgpack.unpackb(encode(body))
    at = choose.draw(st.integers(0, len(fields) - 1))
    value = fields[at]
    alike = _LOOKS_ALIKE.get(type(value), lambda same: [same])(value)
    others = [
        fields[:at] + fields[at + 1 :],
        [*fields, None],
        [*fields, value],
        [*fields[:at], value, *fields[at:]],
        [*fields[:at], alike, *fields[at + 1 :]],
        [*fields[:at], {"0": value}, *fields[at + 1 :]],
        [True, *fields[1:]],
        [1.0, *fields[1:]],
        dict(zip(body.__struct_fields__, fields, strict=True)),
    ]
    for other in others:
        with pytest.raises(Refused) as refused:
            decode_closed(msgpack.packb(other), type(body))
        assert refused.value.reason in {Reason.MALFORMED, Reason.UNSUPPORTED}
    with pytest.raises(Refused) as refused:
        decode_closed(msgpack.packb([2, *fields[1:]]), type(body))
    assert refused.value.reason is Reason.UNSUPPORTED


@given(st.integers(MAX_DEPTH + 1, MAX_MESSAGE_BYTES - 32), st.sampled_from([b"\x91", b"\x81\xa1a"]))
@settings(max_examples=30)
def test_p19_codec_refuses_deep_nesting(depth: int, step: bytes) -> None:
    """The attacker nests under a field that is not read, as deep as a message is long, and beyond its length."""
    frame = b"\x83\xa1t\xa2ok\xa2re\x01\xa1x"
    assert isinstance(decode_frame(frame + b"\xc0"), Ok)
    with pytest.raises(Refused) as refused:
        decode_frame(frame + step * depth + b"\xc0")
    assert refused.value.reason in {Reason.MALFORMED, Reason.TOO_LARGE}
    with pytest.raises(Refused):
        decode_closed(b"\x92\x01" + step * depth + b"\xc0", Leave)
