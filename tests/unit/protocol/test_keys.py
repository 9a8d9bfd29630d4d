"""Ed25519 as RFC 8032 has it, and the points that are no keys."""

from hashlib import sha256

import pytest

from muster_protocol.errors import Refused
from muster_protocol.ids import Signature
from muster_protocol.keys import ED25519, PublicKey, SigningKey
from muster_protocol.reasons import Reason

P = 2**255 - 19
# RFC 8032 section 7.1: secret key, public key, message, signature.
VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe"
            "24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302a"
            "eeb00d291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed2"
            "8dc027beceea1ec40a"
        ),
    ),
]
# The canonical encodings of the eight points of small order: identity, order 2, order 4 (two), order 8 (four).
SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]
# Other ways to write some of them: a sign where x is zero, and y with the prime added.
OTHERWISE = [
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]
NON_CANONICAL = [(y | sign).to_bytes(32, "little").hex() for y in range(P, 2**255) for sign in (0, 1 << 255)]


@pytest.mark.parametrize(("secret", "public", "message", "signature"), VECTORS)
def test_signatures_are_those_of_rfc_8032(secret: str, public: str, message: str, signature: str) -> None:
    key = SigningKey.from_secret(bytes.fromhex(secret))
    assert key.public == PublicKey(ED25519, bytes.fromhex(public))
    assert key.sign(bytes.fromhex(message)).hex() == signature
    key.public.check().verify(Signature(bytes.fromhex(signature)), bytes.fromhex(message))
    with pytest.raises(Refused) as refused:
        key.public.verify(Signature(bytes.fromhex(signature)), bytes.fromhex(message) + b"\0")
    assert refused.value.reason is Reason.BAD_SIGNATURE


@pytest.mark.parametrize("encoding", SMALL_ORDER + OTHERWISE + NON_CANONICAL)
def test_unsafe_points_are_refused(encoding: str) -> None:
    key = PublicKey(ED25519, bytes.fromhex(encoding))
    with pytest.raises(Refused) as refused:
        key.check()
    assert refused.value.reason is Reason.MALFORMED
    with pytest.raises(Refused) as refused:
        key.verify(Signature(bytes(64)), b"")
    assert refused.value.reason is Reason.MALFORMED


def test_a_fingerprint_covers_label_algorithm_and_key() -> None:
    public = bytes.fromhex(VECTORS[0][1])
    assert PublicKey(ED25519, public).fingerprint == sha256(b"muster/v1 key\0ed25519\0" + public).digest()


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_secret_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="32"):
        SigningKey.from_secret(bytes(length))


def test_a_signing_key_is_not_printed() -> None:
    secret = bytes.fromhex(VECTORS[0][0])
    key = SigningKey.from_secret(secret)
    assert secret.hex() not in repr(key)
    assert repr(secret) not in repr(key)
