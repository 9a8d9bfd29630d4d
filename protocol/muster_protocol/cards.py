"""Cards and the rotation chains in them: who a device says it is (SPEC.md sections 1.4 and 2.5)."""

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from itertools import pairwise
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from muster_protocol.checks import CheckResults, Checks, SignatureStep, run
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
SIGNATURES_PER_LINK = 2
CARD_RESULTS_BYTES = 4 * 1024 * 1024
"""Memory for good signatures of cards, so that they are not checked again when their devices come back."""
CHAIN_RESULTS_BYTES = 4 * 1024 * 1024
"""Memory for the results of chains, good and bad: a long chain takes up to 64 signature checks."""
FINGERPRINT_COST_BYTES = 80
"""What one fingerprint in a remembered result takes: 32 bytes, as Python holds them."""

_CARDS: CheckResults[Fingerprint] = CheckResults(CARD_RESULTS_BYTES)
_CHAINS: CheckResults[tuple[Fingerprint, ...]] = CheckResults(CHAIN_RESULTS_BYTES)

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


class _Chain(Struct, frozen=True, array_like=True):
    """All that the result of a chain depends on."""

    client: ClientId
    genesis: PublicKey
    current: PublicKey
    rotations: tuple[SignedRotation, ...]


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
    """Check one link whole, its old signature by ``old``.

    Raises ``Refused``: ``mismatch`` for a link that does not follow ``old``, ``bad_signature``, ``malformed``.
    """
    rotation = _read_link(signed, old)
    _verify_link(signed, old, rotation.new_key)
    return rotation


def read_card(signed: Signed) -> Card:
    """Read a card and check all that takes no signature and no chain: fields, keys, name, modes, range.

    Raises ``Refused``: ``mismatch``, ``malformed``, ``unsupported`` or ``too_large``.
    """
    card = read(signed, Card)
    card.genesis.check()
    card.current.check()
    if card.client != client_id(card.genesis.alg, card.genesis.public):
        raise Refused(Reason.MISMATCH, "the ClientId is not that of the genesis key")
    if list(card.modes) != [mode for mode in Mode if mode in card.modes]:
        raise Refused(Reason.MALFORMED, "modes are each named once, weakest first")
    if card.protocol.low > card.protocol.high:
        raise Refused(Reason.MALFORMED, "the protocol range is empty")
    return card


def card_checks(signed: Signed, card: Card) -> Checks[VerifiedCard]:
    """Check the signatures of a card that ``read_card`` read: its own, then its chain, two signatures a link.

    The same bytes always verify alike. A good signature of a card is remembered by its hash, and a chain too, good or
    bad: neither is checked again while it is remembered.

    Raises ``Refused``: ``mismatch``, ``bad_signature`` or ``malformed``.
    """
    key = sha256(encode(signed)).digest()
    if _CARDS.get(key) is None:
        yield SignatureStep(signatures=1, charge=1)
        check_signature(signed, card.current, Kind.CARD)
        _CARDS.put(key, signed.signer)
    return VerifiedCard(card, signed, (yield from _chain_checks(card)))


def verify_card(signed: Signed) -> VerifiedCard:
    """Check a card against nothing but itself: its fields, its signature and every link of its chain.

    Raises ``Refused``: ``mismatch``, ``bad_signature``, ``malformed``, ``unsupported`` or ``too_large``. Costs one
    signature check, and two more for each rotation; none where they are remembered.
    """
    return run(card_checks(signed, read_card(signed)))


def _chain_checks(card: Card) -> Checks[tuple[Fingerprint, ...]]:
    if not card.rotations:
        return tuple(key.fingerprint for key in _read_chain(card))
    name = sha256(encode(_Chain(card.client, card.genesis, card.current, card.rotations))).digest()
    found = _CHAINS.get(name)
    if found is None:
        keys = _read_chain(card)
        found = yield from _link_checks(card.rotations, keys)
        _CHAINS.put(name, found, len(found) * FINGERPRINT_COST_BYTES)
    if not found:
        raise Refused(Reason.BAD_SIGNATURE, "a rotation is not signed by both keys")
    return found


def _read_chain(card: Card) -> list[PublicKey]:
    """Return the keys of a chain, genesis first, after all checks that take no signature."""
    keys = [card.genesis]
    for number, link in enumerate(card.rotations, start=1):
        rotation = _read_link(link, keys[-1])
        if rotation.number != number or rotation.client != card.client:
            raise Refused(Reason.MISMATCH, "rotation out of place")
        if rotation.new_key in keys:
            raise Refused(Reason.MISMATCH, "a retired key came back")
        keys.append(rotation.new_key)
    if keys[-1] != card.current:
        raise Refused(Reason.MISMATCH, "the current key is not the chain's last")
    return keys


def _read_link(signed: SignedRotation, old: PublicKey) -> Rotation:
    rotation = decode_closed(signed.body, Rotation)
    rotation.new_key.check()
    signers = (signed.old_signer, signed.new_signer)
    if rotation.predecessor != old.fingerprint or signers != (old.fingerprint, rotation.new_key.fingerprint):
        raise Refused(Reason.MISMATCH, "rotation does not follow the key before it")
    return rotation


def _link_checks(links: tuple[SignedRotation, ...], keys: list[PublicKey]) -> Checks[tuple[Fingerprint, ...]]:
    """Return the fingerprints of the keys, or none of them where a link is not signed by both keys."""
    charge = SIGNATURES_PER_LINK * len(links)
    for link, (old, new) in zip(links, pairwise(keys), strict=True):
        yield SignatureStep(SIGNATURES_PER_LINK, charge)
        charge = 0
        try:
            _verify_link(link, old, new)
        except Refused:
            return ()
    return tuple(key.fingerprint for key in keys)


def _verify_link(link: SignedRotation, old: PublicKey, new: PublicKey) -> None:
    message = SIGN[Kind.ROTATION] + link.body
    old.verify(link.old_signature, message)
    new.verify(link.new_signature, message)
