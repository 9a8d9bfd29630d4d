"""The connect handshake between a device and its hub, with the attacker on the way, and hubs of its own."""

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.property.cast import HUB, OTHER_HUB, A, M, nonce
from tests.property.network import (
    ORIGIN,
    RANGES,
    RETIRED_HUB,
    Net,
    NetworkAct,
    Step,
    challenge_of,
    frame_of,
    schedules,
    signed_by,
)

from muster_protocol.cards import ProtocolRange
from muster_protocol.codec import encode
from muster_protocol.connect import (
    Connect,
    DeviceHandshake,
    Dialled,
    HubHandshake,
    Role,
)
from muster_protocol.errors import Refused
from muster_protocol.frames import (
    HelloFrame,
    encode_frame,
)
from muster_protocol.ids import InstanceId, Signature
from muster_protocol.keys import SigningKey
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, read

RELAYED: list[Step] = [(NetworkAct.RELAY, 0, 0, 0)] * 3


# Short schedules in which a forgery comes before what is genuine: a challenge, a hello and a reply to it; and one in
# which the reply to one connection is given to another.
EARLY: list[list[Step]] = [
    [(NetworkAct.FORGE, 0, 0, 0), (NetworkAct.FORGE, 0, 0, 0)],
    [*RELAYED[:1], (NetworkAct.FORGE, 0, 0, 2)],
    [*RELAYED[:2], (NetworkAct.FORGE, 0, 0, 2)],
    [*RELAYED[:2], (NetworkAct.DIAL, 0, 1, 0), (NetworkAct.RELAY, 1, 0, 0), (NetworkAct.REPEAT, 1, 0, 0)],
]


def test_p16_connect_without_an_attack() -> None:
    """Nothing is attacked: the device gets in, at the highest version that both speak."""
    net = Net().play(RELAYED)
    assert net.answering[0].device is not None
    assert net.dialling[0].welcome is not None
    assert net.dialling[0].welcome.protocol == 3


@given(schedules)
@example(EARLY[0])
@example(EARLY[1])
@example(EARLY[2])
@example(EARLY[3])
def test_p16_connect(steps: list[Step]) -> None:
    """The attacker holds the keys of M, of another hub and of the hub before its rotation, not A's or the hub's."""
    net = Net().play(steps)
    for answering in net.answering:
        device = answering.device
        if device is not None and device.card.card.client == A.client:
            own = [each for each in net.dialling if each.actor is A and each.challenge == answering.machine.message]
            assert encode(device.hello) in [frame_of(each.hello or b"", HelloFrame).hello for each in own]
            assert device.protocol == answering.challenge.protocol.highest_common(device.hello.protocol)
    for dialling in net.dialling:
        if dialling.welcome is not None:
            (hub,) = [each for each in net.answering if dialling.welcome in [body for _, body in each.signed]]
            assert hub.machine.message == dialling.challenge
            assert hub.device is not None
            assert encode(hub.device.hello) == frame_of(dialling.hello or b"", HelloFrame).hello
            assert dialling.welcome.protocol == hub.challenge.protocol.highest_common(dialling.protocol)


def test_p16_connect_follows_the_hubs_rotation() -> None:
    """No attack: a device that pinned the key before the rotation follows the one that this key certified.

    Until it has, a thief of that retired key could still pass for the hub: nothing else tells it of the rotation.
    """
    pinned = Dialled(
        A.key, A.card(), A.client, InstanceId(bytes(16)), Role.AGENT, RANGES[0], ORIGIN, RETIRED_HUB.fingerprint
    )
    device, hub = DeviceHandshake(pinned), HubHandshake(HUB, challenge_of(HUB, 0), frozenset({ORIGIN}))
    device.on_challenge(hub.message)
    assert device.hub is not None
    assert (device.hub.fingerprint, device.hub.followed) == (HUB.fingerprint, True)
    assert hub.on_hello(device.hello(nonce(1), None)).card.card.client == A.client


@given(st.sampled_from([OTHER_HUB, RETIRED_HUB, M.key]), st.booleans())
def test_p16_connect_is_not_relayed(key: SigningKey, first_time: bool) -> None:
    """The attacker runs a hub with a key of its own, shows the real hub's nonce, and passes the answer on.

    A device without a pin takes it for its hub, and even then its signature is worth nothing at another.
    """
    real = HubHandshake(HUB, challenge_of(HUB, 0), frozenset({ORIGIN}))
    challenge = encode_frame(msgspec.structs.replace(challenge_of(HUB, 0), hub_key=key.public, hub_rotations=()))
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
    hub = HubHandshake(HUB, challenge_of(HUB, 0), frozenset({ORIGIN}))
    device = DeviceHandshake(
        Dialled(A.key, A.card(), A.client, InstanceId(bytes(16)), Role.AGENT, RANGES[0], origin, HUB.fingerprint)
    )
    device.on_challenge(hub.message)
    with pytest.raises(Refused) as refused:
        hub.on_hello(device.hello(nonce(1), None))
    assert refused.value.reason is Reason.WRONG_ORIGIN


@given(st.tuples(st.integers(0, 9), st.integers(0, 9)), st.tuples(st.integers(0, 9), st.integers(0, 9)))
def test_p16_connect_at_the_highest_common_version(one: tuple[int, int], other: tuple[int, int]) -> None:
    """The attacker gives one side any range: there is a common version or there is none, never a lower one."""
    found = ProtocolRange(*one).highest_common(ProtocolRange(*other))
    both = set(range(one[0], one[1] + 1)) & set(range(other[0], other[1] + 1))
    assert found == max(both, default=None)


@given(schedules)
@example(EARLY[0])
@example(EARLY[1])
@example(EARLY[2])
@example(EARLY[3])
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
    hello = frame_of(net.dialling[0].hello or b"", HelloFrame)
    spoiled = Signed(hello.connect.body, hello.connect.signer, Signature(bytes(64)))
    connect = spoiled if signer is None else signed_by(read(hello.connect, Connect), signer)[0]
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
            device.on_challenge(encode_frame(challenge_of(HUB, 0)))
            device.hello(nonce(1), None)
        with pytest.raises(Refused):
            device.on_reply(data)
