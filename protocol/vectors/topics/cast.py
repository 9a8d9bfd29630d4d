"""Who plays in the vectors: devices and hubs with keys from fixed secrets."""

from dataclasses import dataclass
from hashlib import sha256

from muster_protocol.cards import Card, Mode, ProtocolRange, Rotation, SignedRotation, sign_rotation
from muster_protocol.ids import ClientId, GrantId, InstanceId, InviteId, Nonce, Seed, Serial, TimeMs, client_id
from muster_protocol.keys import ED25519, PublicKey, SigningKey
from muster_protocol.sealing import EpochKey, ReceiveKey
from muster_protocol.signed import Signed, sign

NOW = TimeMs(1_800_000_000_000)
VERSIONS = ProtocolRange(1, 1)
SECOND_MS = 1000
MINUTE_MS = 60 * SECOND_MS


def secret(number: int) -> bytes:
    """Return the secret of an identity key: one byte, 32 times."""
    return bytes([number]) * 32


@dataclass(frozen=True, slots=True)
class CastDevice:
    """A device: its name in the vectors, its secret and its keys."""

    name: str
    secret: bytes
    key: SigningKey
    client: ClientId

    def card(self, serial: int = NOW) -> Signed:
        """Return the device's card, without rotations."""
        return sign(card_body(self.key, self.key, (), serial), self.key)


def device(name: str, number: int) -> CastDevice:
    """Make a device whose secret is the byte ``number``, 32 times."""
    key = SigningKey.from_secret(secret(number))
    return CastDevice(name, secret(number), key, client_id(key.public.alg, key.public.public))


LAPTOP = device("laptop", 0x01)
NAS = device("nas", 0x02)
DESK = device("desk", 0x03)
STRANGER = device("stranger", 0x04)
LAPTOP_KEYS = (LAPTOP.key, *(SigningKey.from_secret(secret(0x10 + number)) for number in range(1, 33)))
"""The laptop's first key and those of its rotations, in order."""

NO_POINT = PublicKey(ED25519, b"\x02" + bytes(31))
"""No point of the curve has the y coordinate 2."""

HUB = SigningKey.from_secret(secret(0xA0))
HUB_SECRET = secret(0xA0)
HUB_NEXT = SigningKey.from_secret(secret(0xA1))
HUB_THIRD = SigningKey.from_secret(secret(0xA2))
OTHER_HUB = SigningKey.from_secret(secret(0xAF))
UNSAFE = PublicKey(ED25519, b"\x01" + bytes(31))
"""A point of small order: under this "key" one signature verifies over many bodies."""


def random_bytes(what: str, size: int) -> bytes:
    """Return bytes that look random and are the same each time."""
    blocks = (sha256(f"muster vectors: {what} {block}".encode()).digest() for block in range(-(-size // 32)))
    return b"".join(blocks)[:size]


def nonce(what: str) -> Nonce:
    """Return 32 bytes."""
    return Nonce(random_bytes(what, 32))


def seed(what: str) -> Seed:
    """Return a session's 16 bytes."""
    return Seed(random_bytes(what, 16))


def invite_id(what: str) -> InviteId:
    """Return an invite's 16 bytes."""
    return InviteId(random_bytes(what, 16))


def instance_id(what: str) -> InstanceId:
    """Return an instance's 16 bytes."""
    return InstanceId(random_bytes(what, 16))


def grant_id(what: str) -> GrantId:
    """Return a grant's 16 bytes."""
    return GrantId(random_bytes(what, 16))


def epoch_key(what: str) -> EpochKey:
    """Return an epoch's 32 bytes."""
    return EpochKey(random_bytes(what, 32))


def receive_seed(what: str) -> bytes:
    """Return the 96 bytes behind a receive key."""
    return random_bytes(f"receive key {what}", 96)


def receive_key(what: str) -> ReceiveKey:
    """Return the receive key behind ``receive_seed``."""
    return ReceiveKey.from_seed(receive_seed(what))


def card_body(
    genesis: SigningKey, current: SigningKey, rotations: tuple[SignedRotation, ...], serial: int = NOW
) -> Card:
    """Return the body of a card of the device whose first key is ``genesis``."""
    return Card(
        client=client_id(genesis.public.alg, genesis.public.public),
        genesis=genesis.public,
        current=current.public,
        rotations=rotations,
        serial=Serial(serial),
        protocol=VERSIONS,
        app="muster",
        app_version="0.1.0",
        modes=tuple(Mode),
    )


def rotation_body(number: int, client: ClientId = LAPTOP.client) -> Rotation:
    """Return the body of the laptop's rotation with this number."""
    return Rotation(
        client=client,
        number=number,
        predecessor=LAPTOP_KEYS[number - 1].fingerprint,
        new_key=LAPTOP_KEYS[number].public,
        serial=Serial(NOW + number),
    )


def rotation(number: int) -> SignedRotation:
    """Return the laptop's rotation with this number, signed by both keys."""
    return sign_rotation(rotation_body(number), LAPTOP_KEYS[number - 1], LAPTOP_KEYS[number])
