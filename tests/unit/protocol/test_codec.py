"""The limits of the codec, and the values that only look like others."""

import msgpack
import pytest

from muster_protocol.codec import MAX_DEPTH, MAX_MESSAGE_BYTES, convert, decode_closed, encode, unpack
from muster_protocol.connect import Connect
from muster_protocol.continuity import Proof
from muster_protocol.errors import Refused
from muster_protocol.frames import FRAMES, Ok, PutStatement, SessionUpdatePush, Watch, decode_frame
from muster_protocol.governance import Trust
from muster_protocol.ids import ClientId, Fingerprint, Serial
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason

TRUST = Trust(client=ClientId("a" * 32), serial=Serial(300), peer=ClientId("b" * 32), peer_key=Fingerprint(b"k" * 32))
FIELDS = [1, "a" * 32, 300, "b" * 32, b"k" * 32]


def _reason(data: bytes) -> Reason:
    with pytest.raises(Refused) as refused:
        decode_frame(data)
    return refused.value.reason


def _refused_fields(fields: object) -> Reason:
    with pytest.raises(Refused) as refused:
        decode_closed(fields if isinstance(fields, bytes) else msgpack.packb(fields), Trust)
    return refused.value.reason


def test_a_body_is_the_array_of_its_fields() -> None:
    assert encode(TRUST) == msgpack.packb(FIELDS)
    assert decode_closed(encode(TRUST), Trust) == TRUST


@pytest.mark.parametrize("tag", sorted(FRAMES))
def test_every_message_can_be_read(tag: str) -> None:
    """A type that the decoder cannot build would raise something else, and only when the message comes."""
    with pytest.raises(Refused) as refused:
        decode_frame(msgpack.packb({"t": tag, "id": None, "re": None, "push": 1, "clients": 1, "retry_after_ms": ""}))
    assert refused.value.reason is Reason.MALFORMED


@pytest.mark.parametrize("kind", Kind)
def test_only_a_devices_durable_statements_are_published(kind: Kind) -> None:
    message = {"t": "statement.put", "id": 1, "kind": kind.value, "statement": [b"", bytes(32), bytes(64)]}
    if kind in {Kind.CARD, Kind.TRUST, Kind.UNTRUST, Kind.GRANT, Kind.REVOCATION}:
        frame = decode_frame(msgpack.packb(message))
        assert isinstance(frame, PutStatement)
        assert frame.kind is kind
    else:
        assert _reason(msgpack.packb(message)) is Reason.MALFORMED


@pytest.mark.parametrize("state", ["seated", "joined", "out", "closed", "resume"])
def test_a_session_update_has_one_of_five_states(state: str) -> None:
    message = {"t": "session.update", "session": "a" * 32, "client": None, "state": state, "reason": None}
    frame = decode_frame(msgpack.packb(message))
    assert isinstance(frame, SessionUpdatePush)
    assert frame.state == state
    assert _reason(msgpack.packb(message | {"state": state + "\n"})) is Reason.MALFORMED


def test_a_message_is_at_most_64_kib() -> None:
    room = MAX_MESSAGE_BYTES - len(msgpack.packb({"t": "ok", "re": 1, "x": b""})) - 1  # a longer header
    data = msgpack.packb({"t": "ok", "re": 1, "x": bytes(room)})
    assert len(data) == MAX_MESSAGE_BYTES
    assert decode_frame(data) == Ok(re=1)
    assert _reason(msgpack.packb({"t": "ok", "re": 1, "x": bytes(room + 1)})) is Reason.TOO_LARGE
    assert _reason(bytes(MAX_MESSAGE_BYTES + 1)) is Reason.TOO_LARGE


@pytest.mark.parametrize("step", [b"\x91", b"\x81\xa1a"])
def test_nesting_has_a_limit(step: bytes) -> None:
    unpack(step * MAX_DEPTH + b"\xc0")
    for depth in (MAX_DEPTH + 1, 500, 1023, 1024, 1025, 21_000):
        with pytest.raises(Refused) as refused:
            unpack(step * depth + b"\xc0")
        assert refused.value.reason is Reason.MALFORMED


@pytest.mark.parametrize(
    "header",
    [
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x01",
        b"\xdc\xff\xff",
        b"\xde\xff\xff",
        b"\xda\xff\xff",
        b"\xc8\xff\xff\x01",
    ],
)
def test_a_header_may_promise_anything(header: bytes) -> None:
    assert _reason(header) is Reason.MALFORMED
    assert _reason(b"\x81\xa1t" + header + bytes(64)) is Reason.MALFORMED
    assert _refused_fields(b"\x92\x01" + header) is Reason.MALFORMED


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\xc0",
        b"\x80",
        b"\x90",
        b"\x01",
        b"\xa2ok",
        b"\x81\xa1t\xc0",
        b"\x81\xa1t\x01",
        b"\x81\xc4\x01t\xa2ok",
        b"\x81\x01\xa2ok",
        b"\x81\x90\xa2ok",
        b"\x81\xa1t\xa2ok\x00",
        b"\xa1\xff",
        b"\x82\xa1t\xa2ok\xa2re\xa1\xff",
        b"\x82\xa1t\xa2ok\xa2re\xa3\xed\xa0\x80",
    ],
)
def test_what_is_no_message_is_malformed(data: bytes) -> None:
    assert _reason(data) is Reason.MALFORMED


def test_an_unknown_type_is_unsupported() -> None:
    assert _reason(msgpack.packb({"t": "later"})) is Reason.UNSUPPORTED


@pytest.mark.parametrize(
    "stamp",
    [
        b"\xd6\xff\x00\x00\x00\x01",
        b"\xd7\xff" + bytes(7) + b"\x01",
        b"\xc7\x0c\xff" + bytes(11) + b"\x01",
        b"\xd7\xff" + b"\xff" * 8,
        b"\xc7\x0c\xff" + b"\xff" * 12,
        b"\xd4\xff\x01",
        b"\xc7\x00\xff",
    ],
)
def test_timestamps_are_no_numbers(stamp: bytes) -> None:
    assert _reason(b"\x82\xa1t\xa2ok\xa2re" + stamp) is Reason.MALFORMED
    head = b"\x95\x01\xd9\x20" + b"a" * 32
    assert _refused_fields(head + stamp + b"\xd9\x20" + b"b" * 32 + b"\xc4\x20" + b"k" * 32) is Reason.MALFORMED


def test_extension_types_are_in_no_body() -> None:
    extension = msgpack.ExtType(5, bytes(32))
    assert _refused_fields([1, "a" * 32, 300, "b" * 32, extension]) is Reason.MALFORMED
    assert _refused_fields(msgpack.packb(extension)) is Reason.MALFORMED
    # A named pair of number and bytes in Python, and so like a proof; in a body its bytes give it away.
    body = msgpack.packb([1, "a" * 32, bytes(32), bytes(32), extension, bytes(32)])
    with pytest.raises(Refused):
        decode_closed(body, Connect)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (2, True),
        (2, False),
        (2, 300.0),
        (2, "300"),
        (2, -1),
        (2, 0),
        (2, 2**53),
        (2, None),
        (2, [300]),
        (1, b"a" * 32),
        (1, ("a" * 32 + "\n")),
        (1, "A" * 32),
        (3, None),
        (4, "k" * 32),
        (4, "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="),
        (4, b"k" * 31),
        (4, b"k" * 33),
        (4, list(b"k" * 32)),
        (4, msgpack.Timestamp(1)),
        (0, True),
        (0, 1.0),
        (0, "1"),
        (0, None),
    ],
)
def test_each_field_has_one_type(place: int, value: object) -> None:
    assert _refused_fields([*FIELDS[:place], value, *FIELDS[place + 1 :]]) is Reason.MALFORMED


@pytest.mark.parametrize("version", [0, 2, 255, -1, 2**53])
def test_another_version_is_unsupported_before_anything_else(version: int) -> None:
    assert _refused_fields([version, *FIELDS[1:]]) is Reason.UNSUPPORTED
    assert _refused_fields([version]) is Reason.UNSUPPORTED
    assert _refused_fields([version, *FIELDS[1:], "more"]) is Reason.UNSUPPORTED


@pytest.mark.parametrize("fields", [FIELDS[:-1], [*FIELDS, None], [*FIELDS, FIELDS[-1]], [1], [], FIELDS[1:]])
def test_a_body_has_all_its_fields_and_no_more(fields: list[object]) -> None:
    assert _refused_fields(fields) is Reason.MALFORMED


@pytest.mark.parametrize(
    ("short", "long"),
    [
        (b"\xcd\x01\x2c", b"\xce\x00\x00\x01\x2c"),
        (b"\xcd\x01\x2c", b"\xcf\x00\x00\x00\x00\x00\x00\x01\x2c"),
        (b"\xcd\x01\x2c", b"\xd1\x01\x2c"),
        (b"\x95\x01", b"\xdc\x00\x05\x01"),
        (b"\x95\x01", b"\xdd\x00\x00\x00\x05\x01"),
        (b"\x95\x01", b"\x95\xcc\x01"),
        (b"\x95\x01", b"\x95\xd0\x01"),
        (b"\xd9\x20aaa", b"\xda\x00\x20aaa"),
        (b"\xc4\x20kkk", b"\xc5\x00\x20kkk"),
    ],
)
def test_each_value_has_one_encoding(short: bytes, long: bytes) -> None:
    data = encode(TRUST)
    assert data.count(short) == 1
    assert _refused_fields(data.replace(short, long)) is Reason.MALFORMED
    assert _refused_fields(data + b"\xc0") is Reason.MALFORMED


def test_frames_are_open_and_bodies_are_closed() -> None:
    twice = b"\x83\xa1t\xa2ok\xa2re\x01\xa2re\x02"
    assert decode_frame(twice) == Ok(re=2)
    assert decode_frame(msgpack.packb({"later": {"x": [1]}, "re": 3, "t": "ok"})) == Ok(re=3)
    doubled = b"\x82\x01\x01\x01\x01"
    assert _refused_fields(doubled) is Reason.MALFORMED


@pytest.mark.parametrize("value", [True, 1.0, "1", b"1", None, [1], msgpack.ExtType(1, b"1"), -1, 2**53])
def test_a_number_in_a_frame_is_a_number(value: object) -> None:
    assert _reason(msgpack.packb({"t": "ok", "re": value})) is Reason.MALFORMED


def test_bytes_are_not_text_in_any_spelling() -> None:
    with pytest.raises(Refused):
        convert([1, "A" * 43 + "="], Proof)
    with pytest.raises(Refused):
        convert({"t": "watch", "id": 1, "clients": [b"a" * 32]}, Watch)


def test_a_refusal_repeats_nothing_that_came() -> None:
    quoted = "what came - at `$.came`"
    for message in ({"t": quoted}, {"t": "error", "re": 1, "reason": quoted}, {"t": "ok", "re": quoted}):
        with pytest.raises(Refused) as refused:
            decode_frame(msgpack.packb(message))
        assert "came" not in str(refused.value)
