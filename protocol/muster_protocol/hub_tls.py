"""TLS without an authority: the extension by which a hub's key vouches for a TLS certificate (SPEC.md section 4.7)."""

from hashlib import sha256
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from muster_protocol.codec import decode_closed, encode
from muster_protocol.hub_keys import MAX_HUB_ROTATIONS, HubKey, SignedHubRotation, follow_hub_key
from muster_protocol.ids import Fingerprint, Signature
from muster_protocol.keys import PublicKey, SigningKey
from muster_protocol.labels import TLS

EXTENSION: Final = "2.25.207918262369652501526744693918237954348"
"""The object identifier of the extension, made from a random UUID."""


class HubVoucher(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """The content of the extension: the hub's key, its rotations, its signature over the certificate's public key."""

    v: Literal[1] = 1
    hub_key: PublicKey
    hub_rotations: Annotated[tuple[SignedHubRotation, ...], Meta(max_length=MAX_HUB_ROTATIONS)]
    signature: Signature


def certify(key: SigningKey, rotations: tuple[SignedHubRotation, ...], spki: bytes) -> bytes:
    """Let the hub's key vouch for a TLS key, given as the DER of its SubjectPublicKeyInfo; return the extension."""
    return encode(HubVoucher(hub_key=key.public, hub_rotations=rotations, signature=key.sign(_signed(spki))))


def shown_voucher(extension: bytes, spki: bytes) -> HubVoucher:
    """Read an extension whose key vouches for this TLS key, also one that is no hub's.

    Raises ``Refused``: ``bad_signature`` for one made for another TLS key, ``malformed``, ``unsupported``.
    """
    voucher = decode_closed(extension, HubVoucher)
    voucher.hub_key.verify(voucher.signature, _signed(spki))
    return voucher


def check(voucher: HubVoucher, pinned: Fingerprint) -> HubKey:
    """Return the hub's key, if it is the pinned one or the pinned one leads to it.

    Raises ``Refused``: ``hub_key_changed``, ``bad_signature`` for a forged rotation, ``malformed``.
    """
    return follow_hub_key(voucher.hub_key, voucher.hub_rotations, pinned)


def _signed(spki: bytes) -> bytes:
    return TLS + sha256(spki).digest()
