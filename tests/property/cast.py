"""Who takes part in the property tests: devices with keys that are made once, and what each of them pinned."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256, sha512
from types import MappingProxyType

from muster_protocol.cards import Card, Mode, ProtocolRange, Rotation, SignedRotation, sign_rotation
from muster_protocol.ids import ClientId, Fingerprint, Nonce, Serial, TimeMs, client_id
from muster_protocol.keys import SigningKey
from muster_protocol.sealing import EpochKey, ReceiveKey
from muster_protocol.signed import Signed, sign

NOON = TimeMs(1_700_000_000_000)
DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class RotatedDevice:
    """A device that rotated its key once: ``retired`` is the old key, which the attacker may hold."""

    name: str
    client: ClientId
    key: SigningKey
    retired: SigningKey
    rotation: SignedRotation
    protocol: ProtocolRange

    @property
    def fingerprint(self) -> Fingerprint:
        return self.key.fingerprint

    def card(self, protocol: ProtocolRange | None = None) -> Signed:
        body = Card(
            client=self.client,
            genesis=self.retired.public,
            current=self.key.public,
            rotations=(self.rotation,),
            serial=Serial(NOON),
            protocol=protocol or self.protocol,
            app="muster",
            app_version="1",
            modes=tuple(Mode),
        )
        return sign(body, self.key)


def signing_key(name: str) -> SigningKey:
    return SigningKey.from_secret(sha256(name.encode()).digest())


def _actor(name: str, low: int, high: int) -> RotatedDevice:
    old, new = signing_key(f"{name} genesis"), signing_key(f"{name} current")
    client = client_id(old.public.alg, old.public.public)
    body = Rotation(client=client, number=1, predecessor=old.fingerprint, new_key=new.public, serial=Serial(NOON))
    return RotatedDevice(name, client, new, old, sign_rotation(body, old, new), ProtocolRange(low, high))


A = _actor("creator", 2, 5)
B = _actor("first target", 1, 3)
C = _actor("second target", 4, 9)
M = _actor("insider, trusted by all, in the attacker's hand", 1, 9)
E = _actor("stranger, trusted by no device, in the attacker's hand", 1, 9)
HUB = signing_key("hub")
OTHER_HUB = signing_key("another hub")

HONEST = (A, B, C)
EVERYBODY = (A, B, C, M, E)
BY_CLIENT = MappingProxyType({actor.client: actor for actor in EVERYBODY})
PINS = MappingProxyType({actor.client: actor.fingerprint for actor in (A, B, C, M)})
"""What A, B and C pinned, each of the others."""


@cache
def receive_key(number: int) -> ReceiveKey:
    return ReceiveKey.from_seed(sha512(b"a%d" % number).digest() + sha256(b"b%d" % number).digest())


def epoch_key(number: int) -> EpochKey:
    return EpochKey(sha256(b"epoch %d" % number).digest())


def nonce(number: int) -> Nonce:
    return Nonce(sha256(b"nonce %d" % number).digest())
