"""The hub's key, and how a device follows it from the one that it pinned (SPEC.md section 4.2)."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from muster_protocol.codec import decode_closed, encode
from muster_protocol.errors import Refused
from muster_protocol.ids import Fingerprint, Signature
from muster_protocol.keys import PublicKey, SigningKey
from muster_protocol.labels import SIGN, Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Body

MAX_HUB_ROTATIONS = 32


class HubRotation(Body, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """The change from one hub key to the next, signed by the old one."""

    KIND: ClassVar[Kind] = Kind.HUB_ROTATION

    number: Annotated[int, Meta(ge=1, le=MAX_HUB_ROTATIONS)]
    old_key: PublicKey
    new_key: PublicKey


class SignedHubRotation(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A hub rotation's bytes and the old key's signature."""

    body: bytes
    signature: Signature


@dataclass(frozen=True, slots=True)
class HubKey:
    """A hub key that the device may speak to; ``followed`` tells whether it is newer than the pin."""

    key: PublicKey
    fingerprint: Fingerprint
    followed: bool


def sign_hub_rotation(number: int, old: SigningKey, new: PublicKey) -> SignedHubRotation:
    """Let the old hub key certify the new one."""
    body = encode(HubRotation(number=number, old_key=old.public, new_key=new))
    return SignedHubRotation(body, old.sign(SIGN[Kind.HUB_ROTATION] + body))


def follow_hub_key(shown: PublicKey, rotations: tuple[SignedHubRotation, ...], pinned: Fingerprint | None) -> HubKey:
    """Accept the key that a hub shows: the pinned one, one that it certified, or any where none is pinned yet.

    Raises ``Refused``: ``hub_key_changed`` where no chain leads from the pin to it, ``malformed``.
    """
    fingerprint = shown.check().fingerprint
    if pinned is None or pinned == fingerprint:
        return HubKey(shown, fingerprint, followed=False)
    held = pinned
    for link in rotations:
        rotation = decode_closed(link.body, HubRotation)
        if rotation.old_key.fingerprint == held:
            rotation.old_key.verify(link.signature, SIGN[Kind.HUB_ROTATION] + link.body)
            held = rotation.new_key.fingerprint
    if held != fingerprint:
        raise Refused(Reason.HUB_KEY_CHANGED)
    return HubKey(shown, fingerprint, followed=True)
