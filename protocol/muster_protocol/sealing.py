"""Receive keys, and sealing an epoch's key to them (SPEC.md section 7.5).

HPKE base mode (RFC 9180) with MLKEM768-X25519 (0x647a), HKDF-SHA256 and ChaCha20-Poly1305.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, NewType, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from msgspec import Meta

from muster_protocol.errors import Refused
from muster_protocol.ids import Hash, SessionId
from muster_protocol.labels import COMMITMENT
from muster_protocol.reasons import Reason

MLKEM_BYTES = 1184
RECEIVE_SEED_BYTES = 64 + 32
"""Random bytes behind one receive key: the ML-KEM seed, then the X25519 secret."""
EPOCH_KEY_BYTES = 32
SEALED_BYTES = 1120 + EPOCH_KEY_BYTES + 16
"""Encapsulation, key and tag."""

PublicReceiveKey = NewType("PublicReceiveKey", Annotated[bytes, Meta(min_length=1216, max_length=1216)])
"""1184 bytes ML-KEM-768, then 32 bytes X25519."""
EpochKey = NewType("EpochKey", bytes)
"""32 secret bytes of one epoch."""

_SUITE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
_P = 2**255 - 19
# The u coordinates of the points on Curve25519 and its twist whose order divides 8: every secret gives zero there.
_LOW_ORDER_U = frozenset(
    {
        0,
        1,
        _P - 1,
        int.from_bytes(bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"), "little"),
        int.from_bytes(bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"), "little"),
    }
)


@dataclass(frozen=True, slots=True, repr=False)
class ReceiveKey:
    """A private receive key. It lives in memory alone and is never printed."""

    private: hpke.MLKEM768X25519PrivateKey
    public: PublicReceiveKey

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """Make the key from 96 random bytes."""
        mlkem = MLKEM768PrivateKey.from_seed_bytes(seed[:64])
        x25519 = X25519PrivateKey.from_private_bytes(seed[64:])
        public = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
        return cls(hpke.MLKEM768X25519PrivateKey(mlkem, x25519), PublicReceiveKey(public))

    def open(self, sealed: bytes, info: bytes) -> EpochKey:
        """Open a sealed epoch key; raises ``Refused(cannot_open)``."""
        if len(sealed) != SEALED_BYTES:
            raise Refused(Reason.CANNOT_OPEN)
        try:
            return EpochKey(_SUITE.decrypt(sealed, self.private, info=info))
        except (InvalidTag, ValueError):
            raise Refused(Reason.CANNOT_OPEN) from None


def parse_receive_key(public: PublicReceiveKey) -> hpke.MLKEM768X25519PublicKey:
    """Read a receive key; raises ``Refused(malformed)`` for a bad ML-KEM half or a low-order X25519 half."""
    mlkem, x25519 = public[:MLKEM_BYTES], public[MLKEM_BYTES:]
    if (int.from_bytes(x25519, "little") & (2**255 - 1)) % _P in _LOW_ORDER_U:
        raise Refused(Reason.MALFORMED, "unsafe receive key")
    try:
        return hpke.MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(mlkem), X25519PublicKey.from_public_bytes(x25519)
        )
    except ValueError:
        raise Refused(Reason.MALFORMED, "unsafe receive key") from None


def seal(key: EpochKey, to: PublicReceiveKey, info: bytes) -> bytes:
    """Seal an epoch key to a receive key; raises ``Refused(malformed)`` for one that is unsafe."""
    try:
        return _SUITE.encrypt(key, parse_receive_key(to), info=info)
    except ValueError:
        raise Refused(Reason.MALFORMED, "unsafe receive key") from None


def commitment(session: SessionId, number: int, key: EpochKey) -> Hash:
    """Commit to an epoch's key in public, so that all who open one know that they opened the same."""
    return Hash(sha256(COMMITMENT + session.encode() + number.to_bytes(8, "big") + key).digest())
