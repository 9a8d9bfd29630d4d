"""Public keys, fingerprints and signing keys (SPEC.md section 1.2)."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Literal, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta, Struct

from muster_protocol.errors import Refused
from muster_protocol.ids import Fingerprint, Signature
from muster_protocol.labels import KEY
from muster_protocol.reasons import Reason

ED25519: Literal["ed25519"] = "ed25519"
SECRET_BYTES = 32

_P = 2**255 - 19
# The y coordinates of the eight points whose order divides 8 on edwards25519 (RFC 8032): under such a "key" one
# signature verifies over many bodies.
_ORDER_8_Y = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
_SMALL_ORDER_Y = frozenset({0, 1, _P - 1, _ORDER_8_Y, _P - _ORDER_8_Y})


class PublicKey(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A public key as it stands on the wire: algorithm, then 32 bytes for ``ed25519``."""

    alg: Literal["ed25519"]
    public: Annotated[bytes, Meta(min_length=32, max_length=32)]

    @property
    def fingerprint(self) -> Fingerprint:
        """SHA-256 over label, algorithm and key."""
        return Fingerprint(sha256(KEY + self.alg.encode() + b"\0" + self.public).digest())

    def check(self) -> Self:
        """Return the key itself; raises ``Refused(malformed)`` for a non-canonical or small-order point."""
        y = int.from_bytes(self.public, "little") & (2**255 - 1)
        if y >= _P or y in _SMALL_ORDER_Y:
            raise Refused(Reason.MALFORMED, "unsafe public key")
        return self

    def verify(self, signature: Signature, message: bytes) -> None:
        """Check a signature over ``message``; raises ``Refused(bad_signature)``, or ``malformed`` for an unsafe key."""
        self.check()
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature:
            raise Refused(Reason.BAD_SIGNATURE) from None


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """A private identity key. It is never printed."""

    private: Ed25519PrivateKey
    public: PublicKey
    fingerprint: Fingerprint

    @classmethod
    def from_secret(cls, secret: bytes) -> Self:
        """Make the key from its 32 secret bytes (RFC 8032); raises ``ValueError`` for another length."""
        private = Ed25519PrivateKey.from_private_bytes(secret)
        public = PublicKey(ED25519, private.public_key().public_bytes_raw())
        return cls(private, public, public.fingerprint)

    def sign(self, message: bytes) -> Signature:
        """Sign ``message``, which starts with its label."""
        return Signature(self.private.sign(message))
