"""The connect handshake between a device and its hub, with the attacker on the way, and hubs of its own."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import product
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.property.cast import HUB, NOON, OTHER_HUB, A, Actor, M, nonce, signing_key

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
from muster_protocol.hub_keys import sign_hub_rotation
from muster_protocol.ids import InstanceId, Signature, TimeMs
from muster_protocol.keys import SigningKey
from muster_protocol.labels import SIGN
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
    actor: Actor
    protocol: ProtocolRange
    number: int
    challenge: bytes | None = None
    hello: bytes | None = None
    welcome: Welcome | None = None
    refused: RefusedBody | None = None


@dataclass(slots=True)
class Answering:
    """The hub's side of one connection: whom it let in, and what it signed."""

    machine: HubHandshake
    challenge: Challenge
    device: Introduced | None = None
    signed: list[tuple[bytes, Welcome | RefusedBody]] = field(default_factory=list)
    """What it answered, beside the message that it answered."""


class Act(Enum):
    RELAY = auto()
    REPEAT = auto()
    TAMPER = auto()
    SPLICE = auto()
    FORGE = auto()
    DIAL = auto()
    LISTEN = auto()


Step = tuple[Act, int, int, int]
_numbers = st.integers(0, 255)
_relay = st.tuples(st.just(Act.RELAY), _numbers, _numbers, _numbers)
_attack = st.tuples(st.sampled_from(Act), _numbers, _numbers, _numbers)
schedules = st.lists(st.one_of(_relay, _relay, _attack), min_size=5, max_size=40)


class Net:
    """A dials its hub, and so does M; all that they and the hub say passes through the attacker's hands."""

    def __init__(self) -> None:
        self.wire: list[bytes] = []
        self.dialling: list[Dialling] = []
        self.answering: list[Answering] = []
        self.dial(A, 0)
        self.listen(1)

    def dial(self, actor: Actor, number: int) -> None:
        protocol = RANGES[number % len(RANGES)]
        pinned = RETIRED_HUB.fingerprint if number % 4 == 3 else HUB.fingerprint
        instance = InstanceId(bytes([number]) * 16)
        role = Role.AGENT if number % 2 else Role.CLI
        dialled = Dialled(actor.key, actor.card(), actor.client, instance, role, protocol, ORIGIN, pinned)
        self.dialling.append(Dialling(DeviceHandshake(dialled), actor, protocol, number))

    def listen(self, number: int) -> None:
        challenge = _challenge(HUB, number)
        self.answering.append(Answering(HubHandshake(HUB, challenge, frozenset({ORIGIN})), challenge))
        self.wire.append(self.answering[-1].machine.message)

    def play(self, steps: Sequence[Step]) -> "Net":
        for act, one, two, three in steps:
            message, other = self.wire[-1 - one % len(self.wire)], self.wire[two % len(self.wire)]
            match act:
                case Act.RELAY:
                    self.relay(self.dialling[one % len(self.dialling)], self.answering[two % len(self.answering)])
                case Act.REPEAT:
                    self.offer(message)
                case Act.TAMPER:
                    self.offer(_tampered(message, two, three))
                case Act.SPLICE:
                    self.offer(*_spliced(message, other))
                case Act.FORGE:
                    self.offer(*_forged(message, (OTHER_HUB, RETIRED_HUB, M.key)[three % 3]))
                case Act.DIAL:
                    self.dial((A, M)[one % 2], two)
                case Act.LISTEN:
                    self.listen(two)
        return self

    def relay(self, dialling: Dialling, answering: Answering) -> None:
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

    def _to_hub(self, answering: Answering, message: bytes) -> None:
        try:
            answering.device = answering.machine.on_hello(message)
        except Refused as refused:
            reply = answering.machine.refused(message, 4504, refused.reason, NOON)
            self.wire.append(reply)
            answering.signed.append((message, read(_frame(reply, RefusedFrame).refused, RefusedBody)))
            return
        reply = answering.machine.welcome(
            answering.device,
            connection=len(self.wire) + 1,
            keep_alive_ms=20_000,
            limits=LIMITS,
            token=None,
            newest_serial=7,
            standing=None,
            now=NOON,
        )
        self.wire.append(reply)
        answering.signed.append((message, read(_frame(reply, WelcomeFrame).welcome, Welcome)))


F = TypeVar("F", bound=Frame)


def _frame(data: bytes, kind: type[F]) -> F:
    frame = decode_frame(data)
    if not isinstance(frame, kind):
        raise TypeError(kind)
    return frame


def _challenge(key: SigningKey, number: int) -> Challenge:
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
    """Give a message with each field of another in the place of its own."""
    one, two = decode_frame(message), decode_frame(other)
    names = [name for name in one.__struct_fields__ if type(one) is type(two)]
    return [encode_frame(msgspec.structs.replace(one, **{name: getattr(two, name)})) for name in names]


def _forged(message: bytes, key: SigningKey) -> list[bytes]:
    """Give what fits the message best, signed by a key of the attacker in its own name and in another's."""
    match decode_frame(message):
        case Challenge() as challenge:
            changes: list[dict[str, Any]] = [
                {"hub_key": key.public},
                {"hub_key": key.public, "hub_rotations": (sign_hub_rotation(1, RETIRED_HUB, key.public),)},
                {"hub_key": key.public, "hub_rotations": (ROTATION, sign_hub_rotation(2, key, key.public))},
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


def _forged_hellos(frame: HelloFrame, key: SigningKey) -> list[bytes]:
    hello, connect = decode_closed(frame.hello, Hello), read(frame.connect, Connect)
    changes: list[dict[str, Any]] = [
        {"protocol": ProtocolRange(1, 2)},
        {"role": Role.CLI if hello.role is Role.AGENT else Role.AGENT},
        {"instance": InstanceId(bytes(16))},
        {"nonce": nonce(9999)},
        {"card": M.card()},
        {"card": A.card(ProtocolRange(1, 1))},
    ]
    bodies = [encode(msgspec.structs.replace(hello, **change)) for change in changes]
    own = [msgspec.structs.replace(connect, hello=hello_hash(body)) for body in bodies]
    refusal = _signed(
        RefusedBody(
            challenge=connect.challenge,
            hello=connect.hello,
            code=4501,
            reason=Reason.DEVICE_REVOKED,
            retry_after_ms=None,
            at=NOON,
        ),
        key,
    )
    return [
        *(encode_frame(HelloFrame(hello=frame.hello, connect=signed)) for signed in _signed(connect, key)),
        *(encode_frame(HelloFrame(hello=body, connect=frame.connect)) for body in bodies),
        *(
            encode_frame(HelloFrame(hello=body, connect=signed))
            for body, each in zip(bodies, own, strict=True)
            for signed in _signed(each, key)
        ),
        *(encode_frame(RefusedFrame(refused=each)) for each in refusal),
        encode_frame(Error(re=0, reason=Reason.DEVICE_REVOKED)),
        encode_frame(Goaway(retry_after_ms=2**40)),
    ]


def _forged_replies(body: Welcome | RefusedBody, key: SigningKey) -> list[Signed]:
    changes: list[dict[str, Any]] = [{}, {"at": TimeMs(0)}]
    if isinstance(body, Welcome):
        changes += [{"protocol": 1}, {"newest_serial": 0}, {"connection": 1}, {"standing": Reason.CLONE_SUSPECTED}]
    return [signed for change in changes for signed in _signed(msgspec.structs.replace(body, **change), key)]


def _signed(body: Body, key: SigningKey) -> list[Signed]:
    data, signature = encode(body), key.sign(SIGN[body.KIND] + encode(body))
    return [Signed(data, name, signature) for name in (key.fingerprint, HUB.fingerprint, A.fingerprint)]


RELAYED: list[Step] = [(Act.RELAY, 0, 0, 0)] * 3


def test_p16_connect_without_an_attack() -> None:
    """Nothing is attacked: the device gets in, at the highest version that both speak."""
    net = Net().play(RELAYED)
    assert net.answering[0].device is not None
    assert net.dialling[0].welcome is not None
    assert net.dialling[0].welcome.protocol == 3


@given(schedules)
def test_p16_connect(steps: list[Step]) -> None:
    """The attacker holds the keys of M, of another hub and of the hub before its rotation, not A's or the hub's."""
    net = Net().play(steps)
    for answering in net.answering:
        device = answering.device
        if device is not None and device.card.card.client == A.client:
            own = [each for each in net.dialling if each.actor is A and each.challenge == answering.machine.message]
            assert encode(device.hello) in [_frame(each.hello or b"", HelloFrame).hello for each in own]
            assert device.protocol == answering.challenge.protocol.highest_common(device.hello.protocol)
    for dialling in net.dialling:
        if dialling.welcome is not None:
            (hub,) = [each for each in net.answering if dialling.welcome in [body for _, body in each.signed]]
            assert hub.machine.message == dialling.challenge
            assert hub.device is not None
            assert encode(hub.device.hello) == _frame(dialling.hello or b"", HelloFrame).hello
            assert dialling.welcome.protocol == hub.challenge.protocol.highest_common(dialling.protocol)


@given(st.sampled_from([OTHER_HUB, RETIRED_HUB, M.key]), st.booleans())
def test_p16_connect_is_not_relayed(key: SigningKey, first_time: bool) -> None:
    """The attacker runs a hub with a key of its own, shows the real hub's nonce, and passes the answer on.

    A device without a pin takes it for its hub, and even then its signature is worth nothing at another.
    """
    real = HubHandshake(HUB, _challenge(HUB, 0), frozenset({ORIGIN}))
    challenge = encode_frame(msgspec.structs.replace(_challenge(HUB, 0), hub_key=key.public, hub_rotations=()))
    pinned = None if first_time else HUB.fingerprint
    device = DeviceHandshake(
        Dialled(A.key, A.card(), A.client, InstanceId(bytes(16)), Role.AGENT, RANGES[0], ORIGIN, pinned)
    )
    if not first_time:
        with pytest.raises(Refused) as refused:
            device.on_challenge(challenge)
        assert refused.value.reason is Reason.HUB_KEY_CHANGED
        return
    device.on_challenge(challenge)
    with pytest.raises(Refused) as refused:
        real.on_hello(device.hello(nonce(1), None))
    assert refused.value.reason is Reason.HUB_KEY_CHANGED


@given(st.sampled_from(["wss://other.example", "ws://hub.example", "wss://hub.example:1", "wss://hub.example.evil"]))
def test_p16_connect_names_the_origin(origin: str) -> None:
    """The attacker's page or name in front of the hub: the device signed what it dialled, which is not the hub's."""
    hub = HubHandshake(HUB, _challenge(HUB, 0), frozenset({ORIGIN}))
    device = DeviceHandshake(
        Dialled(A.key, A.card(), A.client, InstanceId(bytes(16)), Role.AGENT, RANGES[0], origin, HUB.fingerprint)
    )
    device.on_challenge(hub.message)
    with pytest.raises(Refused) as refused:
        hub.on_hello(device.hello(nonce(1), None))
    assert refused.value.reason is Reason.MISMATCH


@given(st.tuples(st.integers(0, 9), st.integers(0, 9)), st.tuples(st.integers(0, 9), st.integers(0, 9)))
def test_p16_connect_at_the_highest_common_version(one: tuple[int, int], other: tuple[int, int]) -> None:
    """The attacker gives one side any range: there is a common version or there is none, never a lower one."""
    found = ProtocolRange(*one).highest_common(ProtocolRange(*other))
    both = set(range(one[0], one[1] + 1)) & set(range(other[0], other[1] + 1))
    assert found == max(both, default=None)


@given(schedules)
def test_p17_stop_needs_proof(steps: list[Step]) -> None:
    """The attacker holds the keys of M, of another hub and of the hub before its rotation, not the hub's."""
    net = Net().play(steps)
    for dialling in net.dialling:
        if dialling.refused is not None:
            hubs = [each for each in net.answering if dialling.refused in [body for _, body in each.signed]]
            assert [hub.machine.message for hub in hubs] == [dialling.challenge]


@pytest.mark.parametrize("signer", [M.key, OTHER_HUB, None])
def test_p17_stop_needs_proof_of_what_was_said(signer: SigningKey | None) -> None:
    """The attacker holds no key, or M's: it lets the real hub refuse what the device did not say, and passes that on.

    It sits on the device's way to the hub and spoils the signature of ``hello``. The hub refuses rightly, and signs it.
    """
    net = Net().play(RELAYED[:1])
    hello = _frame(net.dialling[0].hello or b"", HelloFrame)
    spoiled = Signed(hello.connect.body, hello.connect.signer, Signature(bytes(64)))
    connect = spoiled if signer is None else _signed(read(hello.connect, Connect), signer)[0]
    net.offer(encode_frame(HelloFrame(hello=hello.hello, connect=connect)))
    assert len(net.answering[0].signed) == 1
    assert net.dialling[0].refused is None


@given(st.binary(max_size=200))
def test_p17_stop_needs_proof_whatever_the_bytes(data: bytes) -> None:
    """The attacker holds no key at all: it squats the hub's port and sends any bytes, before and after ``hello``."""
    dialled = Dialled(A.key, A.card(), A.client, InstanceId(bytes(16)), Role.AGENT, RANGES[0], ORIGIN, HUB.fingerprint)
    for started in (False, True):
        device = DeviceHandshake(dialled)
        if started:
            device.on_challenge(encode_frame(_challenge(HUB, 0)))
            device.hello(nonce(1), None)
        with pytest.raises(Refused):
            device.on_reply(data)
