"""Cards and the rotation chains in them: who a device says it is (SPEC.md section 1.4 and 2.5)."""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from muster_protocol.codec import decode_closed, encode
from muster_protocol.errors import Refused
from muster_protocol.ids import ClientId, Fingerprint, Serial, Signature, client_id
from muster_protocol.keys import PublicKey, SigningKey
from muster_protocol.labels import SIGN, Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Body, Signed, check_signature, read

MAX_ROTATIONS = 32
MAX_APP_CHARS = 64
MAX_VERSION_CHARS = 32
MAX_PROTOCOL = 65_535
CARDS_REMEMBERED = 4_096
"""Cards that are not verified again when their devices come back, 2 KiB each at most but for long chains."""

ProtocolVersion = Annotated[int, Meta(ge=0, le=MAX_PROTOCOL)]


class Mode(StrEnum):
    """What a session may do, from weakest to strongest; a stronger grant covers a weaker request."""

    JOIN = "join"
    INVENTORY = "inventory"
    SYNCHRONIZE = "synchronize"

    def covers(self, other: "Mode") -> bool:
        """Return whether this mode is at least as strong as ``other``."""
        return _STRENGTH[self] >= _STRENGTH[other]


_STRENGTH = {mode: place for place, mode in enumerate(Mode)}


class ProtocolRange(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The lowest and the highest protocol version that a side speaks."""

    low: ProtocolVersion
    high: ProtocolVersion

    def highest_common(self, other: "ProtocolRange") -> int | None:
        """Return the highest version that both speak, or None."""
        common = min(self.high, other.high)
        return common if common >= max(self.low, other.low) else None


class Rotation(Body, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """The change from one key to the next: ``number`` counts from 1, ``predecessor`` is the old key's fingerprint."""

    KIND: ClassVar[Kind] = Kind.ROTATION

    client: ClientId
    number: Annotated[int, Meta(ge=1, le=MAX_ROTATIONS)]
    predecessor: Fingerprint
    new_key: PublicKey
    serial: Serial


class SignedRotation(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One rotation body under two signatures: by the old key and by the new one."""

    body: bytes
    old_signer: Fingerprint
    old_signature: Signature
    new_signer: Fingerprint
    new_signature: Signature


class Card(Body, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """A device's signed description of itself."""

    KIND: ClassVar[Kind] = Kind.CARD

    client: ClientId
    genesis: PublicKey
    current: PublicKey
    rotations: Annotated[tuple[SignedRotation, ...], Meta(max_length=MAX_ROTATIONS)]
    serial: Serial
    protocol: ProtocolRange
    app: Annotated[str, Meta(min_length=1, max_length=MAX_APP_CHARS)]
    app_version: Annotated[str, Meta(max_length=MAX_VERSION_CHARS)]
    modes: Annotated[tuple[Mode, ...], Meta(min_length=1, max_length=len(Mode))]


@dataclass(frozen=True, slots=True)
class VerifiedCard:
    """A card whose every signature was checked, with the fingerprints of all its keys, genesis first."""

    card: Card
    signed: Signed
    fingerprints: tuple[Fingerprint, ...]

    @property
    def fingerprint(self) -> Fingerprint:
        """The current key's fingerprint."""
        return self.fingerprints[-1]


def sign_rotation(body: Rotation, old: SigningKey, new: SigningKey) -> SignedRotation:
    """Sign one rotation body by both keys."""
    data = encode(body)
    message = SIGN[Kind.ROTATION] + data
    return SignedRotation(data, old.fingerprint, old.sign(message), new.fingerprint, new.sign(message))


def verify_rotation(signed: SignedRotation, old: PublicKey) -> Rotation:
    """Check both signatures of one link, the old one by ``old``.

    Raises ``Refused``: ``mismatch`` for a link that does not follow ``old``, ``bad_signature``, ``malformed``.
    """
    rotation = decode_closed(signed.body, Rotation)
    new = rotation.new_key
    signers = (signed.old_signer, signed.new_signer)
    if rotation.predecessor != old.fingerprint or signers != (old.fingerprint, new.fingerprint):
        raise Refused(Reason.MISMATCH, "rotation does not follow the key before it")
    message = SIGN[Kind.ROTATION] + signed.body
    old.verify(signed.old_signature, message)
    new.verify(signed.new_signature, message)
    return rotation


@lru_cache(maxsize=CARDS_REMEMBERED)
def verify_card(signed: Signed) -> VerifiedCard:
    """Check a card against nothing but itself: its name, every link of its chain, and its signature.

    The same bytes always verify alike, so a card that did is not checked again while it is remembered; one that did
    not is never remembered.

    Raises ``Refused``: ``mismatch``, ``bad_signature``, ``malformed``, ``unsupported`` or ``too_large``. Costs one
    signature check, and two more for each rotation.
    """
    card = read(signed, Card)
    if card.client != client_id(card.genesis.alg, card.genesis.public):
        raise Refused(Reason.MISMATCH, "the ClientId is not that of the genesis key")
    if list(card.modes) != [mode for mode in Mode if mode in card.modes]:
        raise Refused(Reason.MALFORMED, "modes are each named once, weakest first")
    if card.protocol.low > card.protocol.high:
        raise Refused(Reason.MALFORMED, "the protocol range is empty")
    fingerprints = _follow(card)
    check_signature(signed, card.current, Kind.CARD)
    return VerifiedCard(card, signed, fingerprints)


def _follow(card: Card) -> tuple[Fingerprint, ...]:
    key = card.genesis.check()
    fingerprints = [key.fingerprint]
    for number, link in enumerate(card.rotations, start=1):
        rotation = verify_rotation(link, key)
        if rotation.number != number or rotation.client != card.client:
            raise Refused(Reason.MISMATCH, "rotation out of place")
        key = rotation.new_key
        if key.fingerprint in fingerprints:
            raise Refused(Reason.MISMATCH, "a retired key came back")
        fingerprints.append(key.fingerprint)
    if key != card.current:
        raise Refused(Reason.MISMATCH, "the current key is not the chain's last")
    return tuple(fingerprints)
