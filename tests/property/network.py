"""A device, its hub, and the attacker on the way between them, with hubs of its own."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import product
from typing import Any, TypeVar

import msgspec
from hypothesis import strategies as st
from tests.property.cast import HUB, NOON, OTHER_HUB, A, M, RotatedDevice, nonce, signing_key

from muster_protocol.cards import ProtocolRange
from muster_protocol.codec import decode_closed, encode
from muster_protocol.connect import (
    Connect,
    DeviceHandshake,
    Dialled,
    Hello,
    HubHandshake,
    Introduced,
    Limits,
    RefusedBody,
    Role,
    Welcome,
    hello_hash,
    hello_message_hash,
)
from muster_protocol.errors import Refused
from muster_protocol.frames import (
    Challenge,
    Error,
    Frame,
    Goaway,
    HelloFrame,
    RefusedFrame,
    WelcomeFrame,
    decode_frame,
    encode_frame,
)
from muster_protocol.hub_keys import HubRotation, SignedHubRotation, sign_hub_rotation
from muster_protocol.ids import InstanceId, TimeMs
from muster_protocol.keys import SigningKey
from muster_protocol.labels import SIGN, Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Body, Signed, read

ORIGIN = "wss://hub.example"
RETIRED_HUB = signing_key("hub, before its key was rotated")
ROTATION = sign_hub_rotation(1, RETIRED_HUB, HUB.public)
RANGES = (ProtocolRange(1, 3), ProtocolRange(2, 5), ProtocolRange(3, 3))
LIMITS = Limits(65536, 15, 16, 256, 64)


@dataclass(slots=True)
class Dialling:
    """One connection attempt of a device, and what came of it."""

    machine: DeviceHandshake
    actor: RotatedDevice
    protocol: ProtocolRange
    number: int
    challenge: bytes | None = None
    hello: bytes | None = None
    welcome: Welcome | None = None
    refused: RefusedBody | None = None


@dataclass(slots=True)
class HubSide:
    """The hub's side of one connection: whom it admitted, and what it signed."""

    machine: HubHandshake
    challenge: Challenge
    device: Introduced | None = None
    signed: list[tuple[bytes, Welcome | RefusedBody]] = field(default_factory=list)
    """What it answered, beside the message that it answered."""


class NetworkAct(Enum):
    RELAY = auto()
    REPEAT = auto()
    TAMPER = auto()
    SPLICE = auto()
    FORGE = auto()
    DIAL = auto()
    LISTEN = auto()


Step = tuple[NetworkAct, int, int, int]
_numbers = st.integers(0, 255)
_relay = st.tuples(st.just(NetworkAct.RELAY), _numbers, _numbers, _numbers)
_attack = st.tuples(st.sampled_from(NetworkAct), _numbers, _numbers, _numbers)
schedules = st.lists(st.one_of(_relay, _relay, _attack), min_size=5, max_size=40)


class Net:
    """A dials its hub, and so does M; all that they and the hub say passes through the attacker's hands."""

    def __init__(self) -> None:
        self.wire: list[bytes] = []
        self.dialling: list[Dialling] = []
        self.answering: list[HubSide] = []
        self.dial(A, 0)
        self.listen(1)

    def dial(self, actor: RotatedDevice, number: int) -> None:
        protocol = RANGES[number % len(RANGES)]
        instance = InstanceId(bytes([number]) * 16)
        role = Role.AGENT if number % 2 else Role.CLI
        dialled = Dialled(actor.key, actor.card(), actor.client, instance, role, protocol, ORIGIN, HUB.fingerprint)
        self.dialling.append(Dialling(DeviceHandshake(dialled), actor, protocol, number))

    def listen(self, number: int) -> None:
        challenge = challenge_of(HUB, number)
        self.answering.append(HubSide(HubHandshake(HUB, challenge, frozenset({ORIGIN})), challenge))
        self.wire.append(self.answering[-1].machine.message)

    def play(self, steps: Sequence[Step]) -> "Net":
        for act, one, two, three in steps:
            message, other = self.wire[-1 - one % len(self.wire)], self.wire[two % len(self.wire)]
            match act:
                case NetworkAct.RELAY:
                    self.relay(self.dialling[one % len(self.dialling)], self.answering[two % len(self.answering)])
                case NetworkAct.REPEAT:
                    self.offer(message)
                case NetworkAct.TAMPER:
                    self.offer(_tampered(message, two, three))
                case NetworkAct.SPLICE:
                    self.offer(*_spliced(message, other))
                case NetworkAct.FORGE:
                    self.offer(*_forged(message, (OTHER_HUB, RETIRED_HUB, M.key)[three % 3]))
                case NetworkAct.DIAL:
                    self.dial((A, M)[one % 2], two)
                case NetworkAct.LISTEN:
                    self.listen(two)
        return self

    def relay(self, dialling: Dialling, answering: HubSide) -> None:
        """Bring one connection a message further, the honest way."""
        with suppress(Refused):
            if dialling.hello is None:
                self._to_device(dialling, answering.machine.message)
            elif answering.device is None:
                self._to_hub(answering, dialling.hello)
            else:
                self._to_device(dialling, self.wire[-1])

    def offer(self, *messages: bytes) -> None:
        """Try messages at every hub, and then with what the hubs said to them, at every device."""
        before = len(self.wire)
        for message, answering in product(messages, self.answering):
            if answering.device is None:
                self._to_hub(answering, message)
        for message, dialling in product([*messages, *self.wire[before:]], self.dialling):
            with suppress(Refused):
                self._to_device(dialling, message)

    def _to_device(self, dialling: Dialling, message: bytes) -> None:
        if dialling.challenge is None:
            dialling.machine.on_challenge(message)
            dialling.challenge = message
            dialling.hello = dialling.machine.hello(nonce(dialling.number), None)
            self.wire.append(dialling.hello)
        elif dialling.welcome is None and dialling.refused is None:
            # No reply but the first is looked at: a device closes or goes on.
            reply = dialling.machine.on_reply(message)
            if isinstance(reply, Welcome):
                dialling.welcome = reply
            else:
                dialling.refused = reply

    def _to_hub(self, answering: HubSide, message: bytes) -> None:
        try:
            answering.device = answering.machine.on_hello(message)
        except Refused as refused:
            reply = answering.machine.refused(message, refused.reason, NOON)
            self.wire.append(reply)
            answering.signed.append((message, read(frame_of(reply, RefusedFrame).refused, RefusedBody)))
            return
        reply = answering.machine.welcome(
            answering.device,
            connection=len(self.wire) + 1,
            keep_alive_ms=20_000,
            limits=LIMITS,
            token=None,
            newest_serial=7,
            changes=7,
            standing=None,
            now=NOON,
        )
        self.wire.append(reply)
        answering.signed.append((message, read(frame_of(reply, WelcomeFrame).welcome, Welcome)))


F = TypeVar("F", bound=Frame)


def frame_of(data: bytes, kind: type[F]) -> F:
    frame = decode_frame(data)
    if not isinstance(frame, kind):
        raise TypeError(kind)
    return frame


def challenge_of(key: SigningKey, number: int) -> Challenge:
    return Challenge(
        nonce=nonce(1000 + number),
        hub_key=key.public,
        hub_rotations=(ROTATION,),
        protocol=RANGES[number % len(RANGES)],
        at=NOON,
    )


def _tampered(message: bytes, place: int, bit: int) -> bytes:
    changed = bytearray(message)
    changed[place * 5 % len(changed)] ^= 1 << bit % 8
    return bytes(changed)


def _spliced(message: bytes, other: bytes) -> list[bytes]:
    """Return a message with each field of another in the place of its own."""
    one, two = decode_frame(message), decode_frame(other)
    names = [name for name in one.__struct_fields__ if type(one) is type(two)]
    return [encode_frame(msgspec.structs.replace(one, **{name: getattr(two, name)})) for name in names]


def _forged(message: bytes, key: SigningKey) -> list[bytes]:
    """Return what fits the message best, signed by a key of the attacker in its own name and in another's."""
    match decode_frame(message):
        case Challenge() as challenge:
            changes: list[dict[str, Any]] = [
                {"hub_key": key.public},
                {"hub_key": key.public, "hub_rotations": (sign_hub_rotation(1, RETIRED_HUB, key.public),)},
                {"hub_key": key.public, "hub_rotations": (ROTATION, _forged_rotation(key))},
                {"protocol": ProtocolRange(1, 1)},
                {"at": TimeMs(0)},
            ]
            return [encode_frame(msgspec.structs.replace(challenge, **change)) for change in changes]
        case HelloFrame() as hello:
            return _forged_hellos(hello, key)
        case WelcomeFrame(welcome=signed):
            return [encode_frame(WelcomeFrame(welcome=each)) for each in _forged_replies(read(signed, Welcome), key)]
        case RefusedFrame(refused=signed):
            return [
                encode_frame(RefusedFrame(refused=each)) for each in _forged_replies(read(signed, RefusedBody), key)
            ]
        case _:
            return []


def _forged_rotation(key: SigningKey) -> SignedHubRotation:
    """Return a link from the hub's key to one of the attacker's, without the hub's signature."""
    body = encode(HubRotation(number=2, old_key=HUB.public, new_key=key.public))
    return SignedHubRotation(body, key.sign(SIGN[Kind.HUB_ROTATION] + body))


def _forged_hellos(frame: HelloFrame, key: SigningKey) -> list[bytes]:
    hello, connect = decode_closed(frame.hello, Hello), read(frame.connect, Connect)
    changes: list[dict[str, Any]] = [
        {"protocol": ProtocolRange(1, 2)},
        {"role": Role.CLI if hello.role is Role.AGENT else Role.AGENT},
        {"instance": InstanceId(b"x" * 16)},
        {"nonce": nonce(9999)},
        {"card": M.card()},
        {"card": A.card(ProtocolRange(1, 1))},
    ]
    bodies = [encode(msgspec.structs.replace(hello, **change)) for change in changes]
    own = [msgspec.structs.replace(connect, hello=hello_hash(body)) for body in bodies]
    refusal = signed_by(
        RefusedBody(
            challenge=connect.challenge,
            hello=hello_message_hash(encode_frame(frame)),
            code=4501,
            reason=Reason.DEVICE_REVOKED,
            retry_after_ms=None,
            at=NOON,
            origins=(),
        ),
        key,
    )
    return [
        *(encode_frame(HelloFrame(hello=body, connect=frame.connect)) for body in bodies),
        *(
            encode_frame(HelloFrame(hello=body, connect=signed))
            for body, each in zip(bodies, own, strict=True)
            for signed in signed_by(each, key)
        ),
        *(encode_frame(HelloFrame(hello=frame.hello, connect=signed)) for signed in signed_by(connect, key)),
        *(encode_frame(RefusedFrame(refused=each)) for each in refusal),
        encode_frame(Error(re=0, reason=Reason.DEVICE_REVOKED)),
        encode_frame(Goaway(retry_after_ms=2**40)),
    ]


def _forged_replies(body: Welcome | RefusedBody, key: SigningKey) -> list[Signed]:
    changes: list[dict[str, Any]] = [{"at": TimeMs(0)}]
    if isinstance(body, Welcome):
        changes += [
            {"protocol": 1},
            {"newest_serial": 0},
            {"changes": 0},
            {"connection": 1},
            {"standing": Reason.CLONE_SUSPECTED},
        ]
    return [signed for change in [*changes, {}] for signed in signed_by(msgspec.structs.replace(body, **change), key)]


def signed_by(body: Body, key: SigningKey) -> list[Signed]:
    data, signature = encode(body), key.sign(SIGN[body.KIND] + encode(body))
    return [Signed(data, name, signature) for name in (key.fingerprint, HUB.fingerprint, A.fingerprint)]
