"""What a stranger's bytes meet first: the codec, the statements in them, and the door.

Each target takes any bytes and returns what became of them, ``ACCEPTED`` or a reason; it raises for nothing but a
defect.
A fuzzer cannot guess a signature, so where one is asked for the target signs what the fuzzer wrote.
"""

import json
from pathlib import Path
from typing import Any

import msgpack
from tests.vectors.checks.statements import BODIES

from muster_protocol.cards import verify_card
from muster_protocol.codec import MAX_CONTAINERS, MAX_DEPTH, MAX_MESSAGE_BYTES, decode_closed, encode, unpack
from muster_protocol.connect import Connect, Hello, HubHandshake, hello_hash
from muster_protocol.errors import Refused
from muster_protocol.frames import Challenge, HelloFrame, decode_frame, encode_frame
from muster_protocol.governance import Grant, Revocation, Trust, Untrust, check_governance
from muster_protocol.ids import ClientId, TimeMs
from muster_protocol.keys import SigningKey
from muster_protocol.labels import SIGN, Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, sign

ACCEPTED = "accepted"
KEYS = tuple(SigningKey.from_secret(bytes([byte]) * 32) for byte in (0x01, 0x11, 0x12, 0x30, 0x02))
"""Keys of the test vectors' devices, so that their cards and chains lead further than one of the fuzzer's own."""
HUB = SigningKey.from_secret(b"\xa0" * 32)
ORIGIN = "wss://hub.example"
VECTORS = Path(__file__).resolve().parents[2] / "protocol/vectors"
KINDS = (*sorted(BODIES), "hello")
_CODEC_REASONS = {Reason.MALFORMED, Reason.UNSUPPORTED, Reason.TOO_LARGE}
_CARD_REASONS = {*_CODEC_REASONS, Reason.MISMATCH, Reason.BAD_SIGNATURE}
_HELLO_REASONS = {*_CARD_REASONS, Reason.HUB_KEY_CHANGED, Reason.INCOMPATIBLE_PROTOCOL, Reason.WRONG_ORIGIN}
_RULE_REASONS = {*_CODEC_REASONS, Reason.SELF_TARGET}


def vectors(topic: str) -> list[dict[str, Any]]:
    """Return the test vectors of one topic."""
    found: list[dict[str, Any]] = json.loads((VECTORS / f"{topic}.json").read_text("utf-8"))["vectors"]
    return found


_CHALLENGE = bytes.fromhex(vectors("connect")[0]["input"]["challenge"])


class Defect(AssertionError):
    """What no bytes may bring about."""


def _refused(refused: Refused, allowed: set[Reason]) -> str:
    if refused.reason not in allowed:
        raise Defect(f"a reason that does not belong here: {refused.reason}") from refused
    return refused.reason.value


def _first(data: bytes) -> tuple[int, bytes]:
    return (data[0] if data else 0), data[1:]


def _depth(value: object) -> int:
    """Count levels in the plainest way, as a judge of the codec's quicker one."""
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    return 1 + max(map(_depth, value), default=0) if type(value) is list else 0


def _containers(value: object) -> int:
    """Count arrays and maps in the plainest way."""
    if isinstance(value, dict):
        return 1 + sum(map(_containers, value.values()))
    return 1 + sum(map(_containers, value)) if type(value) is list else 0


def _no_extension(code: int, data: bytes) -> object:
    raise ValueError("an extension type", code, data)


def value(data: bytes) -> str:
    """Any MessagePack: taken exactly where it is well-formed, small, not too deep, and without too many arrays.

    Extension types are refused but for timestamps, which msgpack reads by itself.
    """
    try:
        plain = msgpack.unpackb(data, raw=False, strict_map_key=True, ext_hook=_no_extension)
        few = _depth(plain) <= MAX_DEPTH and _containers(plain) <= MAX_CONTAINERS
        good = len(data) <= MAX_MESSAGE_BYTES and few
    except (ValueError, RecursionError):
        good = False
    try:
        unpack(data)
    except Refused as refused:
        if good:
            raise Defect("well-formed, and refused") from refused
        return _refused(refused, _CODEC_REASONS)
    if not good:
        raise Defect("taken, and not well-formed")
    return ACCEPTED


def frame(data: bytes) -> str:
    """One message. What is taken is the same after a way through the encoder."""
    try:
        read = decode_frame(data)
    except Refused as refused:
        return _refused(refused, _CODEC_REASONS)
    if decode_frame(encode_frame(read)) != read:
        raise Defect(f"another {type(read).__name__} after encoding")
    return ACCEPTED


def body(data: bytes) -> str:
    """One closed body, of the kind that the first byte names. What is taken has no other encoding."""
    number, rest = _first(data)
    kind = KINDS[number % len(KINDS)]
    struct = BODIES.get(kind, Hello)
    try:
        read = decode_closed(rest, struct)
        if encode(read) != rest:
            raise Defect(f"another encoding of {kind} was taken")
        if isinstance(read, Trust | Untrust | Grant | Revocation):
            check_governance(read)
    except Refused as refused:
        return _refused(refused, _RULE_REASONS)
    return ACCEPTED


def card(data: bytes) -> str:
    """A card, signed by the key that the first byte names."""
    number, rest = _first(data)
    try:
        verified = verify_card(_signed(rest, KEYS[number % len(KEYS)]))
    except Refused as refused:
        return _refused(refused, _CARD_REASONS)
    if len(set(verified.fingerprints)) != len(verified.card.rotations) + 1:
        raise Defect("a key counts twice")
    return ACCEPTED


def hello(data: bytes) -> str:
    """What a device says of itself, in a ``hello`` signed by the key that the first byte names."""
    number, rest = _first(data)
    key = KEYS[number % len(KEYS)]
    handshake = _handshake()
    connect = Connect(
        client=_named_client(rest),
        challenge=handshake._challenge,
        hello=hello_hash(rest),
        origin=ORIGIN,
        hub_key=HUB.fingerprint,
    )
    return _introduced(handshake, encode_frame(HelloFrame(hello=rest, connect=sign(connect, key))))


def door(data: bytes) -> str:
    """A stranger's first message as it comes."""
    return _introduced(_handshake(), data)


def _introduced(handshake: HubHandshake, message: bytes) -> str:
    now = TimeMs(1_800_000_000_000)
    try:
        device = handshake.on_hello(message)
    except Refused as refused:
        handshake.refused(message, refused.reason, now)
        return _refused(refused, _HELLO_REASONS)
    if device.protocol != 1 or device.hello.card.body != device.card.signed.body:
        raise Defect("introduced as somebody else")
    return ACCEPTED


def _handshake() -> HubHandshake:
    challenge = decode_frame(_CHALLENGE)
    if not isinstance(challenge, Challenge):
        raise TypeError("the vector holds no challenge")
    return HubHandshake(HUB, challenge, frozenset({ORIGIN}))


def _signed(body: bytes, key: SigningKey) -> Signed:
    return Signed(body, key.fingerprint, key.sign(SIGN[Kind.CARD] + body))


def _named_client(hello: bytes) -> ClientId:
    """Return whom the card in a ``Hello`` names, so that the fuzzer need not write it twice."""
    try:
        return ClientId(unpack(unpack(hello)[1][0])[1][:32])  # type: ignore[index] # whatever it is, the next line knows
    except (Refused, TypeError, LookupError):
        return ClientId("a" * 32)
