"""Signed statements: exact bytes, a signer, a signature (SPEC.md section 2)."""

from hashlib import sha256
from typing import ClassVar, Literal, TypeVar

from msgspec import Struct

from muster_protocol.codec import decode_closed, encode
from muster_protocol.errors import Refused
from muster_protocol.ids import Fingerprint, Hash, Signature
from muster_protocol.keys import PublicKey, SigningKey
from muster_protocol.labels import HASH, SIGN, Kind
from muster_protocol.reasons import Reason


class Body(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """What every signed body begins with: its version, 1."""

    KIND: ClassVar[Kind]

    v: Literal[1] = 1


class Signed(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A statement as it travels: the body's bytes, the signer's fingerprint, the signature over label and body."""

    body: bytes
    signer: Fingerprint
    signature: Signature


B = TypeVar("B", bound=Body)


def sign(body: Body, key: SigningKey) -> Signed:
    """Encode ``body`` and sign it under the label of its kind."""
    data = encode(body)
    return Signed(data, key.fingerprint, key.sign(SIGN[body.KIND] + data))


def read(signed: Signed, body: type[B]) -> B:
    """Decode a statement without checking who signed it, for those who only carry it.

    Raises ``Refused``: ``malformed``, ``unsupported`` or ``too_large``.
    """
    return decode_closed(signed.body, body)


def verify(signed: Signed, key: PublicKey, body: type[B]) -> B:
    """Check the signature over the bytes as they came, then decode them.

    Raises ``Refused``: ``mismatch`` if it names another signer, ``bad_signature``, and what ``read`` raises.
    """
    check_signature(signed, key, body.KIND)
    return read(signed, body)


def check_signature(signed: Signed, key: PublicKey, kind: Kind) -> None:
    """Check who signed a statement of this kind, and the signature. Raises ``mismatch`` or ``bad_signature``."""
    if signed.signer != key.fingerprint:
        raise Refused(Reason.MISMATCH, "signed by another key")
    key.verify(signed.signature, SIGN[kind] + signed.body)


def statement_hash(kind: Kind, body: bytes) -> Hash:
    """Return the hash by which other statements refer to this one."""
    return Hash(sha256(HASH[kind] + body).digest())
