"""Keys and receive keys that an attacker would like somebody to use."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from tests.property.cast import epoch_key, receive_key

from muster_protocol.codec import convert
from muster_protocol.errors import Refused
from muster_protocol.ids import Signature
from muster_protocol.keys import ED25519, PublicKey
from muster_protocol.reasons import Reason
from muster_protocol.sealing import MLKEM_BYTES, SEALED_BYTES, PublicReceiveKey, parse_receive_key, seal

P = 2**255 - 19
SIGN_BIT = 1 << 255
ORDER_8 = int.from_bytes(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little")
SMALL_ORDER = (0, 1, P - 1, ORDER_8 % SIGN_BIT, P - ORDER_8 % SIGN_BIT)
NON_CANONICAL = tuple(range(P, 2**255))
LOW_ORDER_U = (
    0,
    1,
    P - 1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
)
LOW_ORDER_SPELLINGS = [
    number | top for u in LOW_ORDER_U for number in (u, u + P) if number < SIGN_BIT for top in (0, SIGN_BIT)
]
"""The top bit is ignored, and what lies below 19 can also be written with the prime added."""
GOOD = receive_key(0).public


def _bytes(number: int) -> bytes:
    return number.to_bytes(32, "little")


def _is_malformed(attempt: object) -> None:
    with pytest.raises(Refused) as refused:
        attempt()  # type: ignore[operator]  # a closure of one of the tests below
    assert refused.value.reason is Reason.MALFORMED


@pytest.mark.parametrize("sign", [0, SIGN_BIT])
@pytest.mark.parametrize("y", SMALL_ORDER + NON_CANONICAL)
def test_p20_keys_of_small_order_or_not_canonical(y: int, sign: int) -> None:
    """The attacker chooses the public key: under a point of small order one signature fits many bodies."""
    key = PublicKey(ED25519, _bytes(y | sign))
    _is_malformed(key.check)
    _is_malformed(lambda: key.verify(Signature(_bytes(1) + bytes(32)), b"any body"))


def test_p20_keys_of_small_order_are_a_danger() -> None:
    """Without the check the identity point verifies one signature over any body: this is what it is for."""
    for body in (b"one", b"another"):
        Ed25519PublicKey.from_public_bytes(_bytes(1)).verify(_bytes(1) + bytes(32), body)


@given(st.binary(max_size=64))
def test_p20_keys_of_any_bytes(data: bytes) -> None:
    """The attacker sends any bytes as a key: it is one of 32 bytes or refused, and verifies nothing it did not sign."""
    if len(data) != 32:
        _is_malformed(lambda: convert(["ed25519", data], PublicKey))
        return
    key = convert(["ed25519", data], PublicKey)
    with pytest.raises(Refused) as refused:
        key.verify(Signature(bytes(64)), b"any body")
    assert refused.value.reason in {Reason.MALFORMED, Reason.BAD_SIGNATURE}


def test_p20_keys_of_another_algorithm() -> None:
    """The attacker names an algorithm that is none."""
    for alg in ("", "ED25519", "ed25519\n", "ecdsa", None, 1):
        _is_malformed(lambda alg=alg: convert([alg, bytes(32)], PublicKey))


@pytest.mark.parametrize("spelling", LOW_ORDER_SPELLINGS)
def test_p20_keys_with_a_low_order_half_to_seal_to(spelling: int) -> None:
    """The attacker answers with a receive key whose X25519 half gives a secret that all can compute."""
    unsafe = PublicReceiveKey(GOOD[:MLKEM_BYTES] + _bytes(spelling))
    _is_malformed(lambda: parse_receive_key(unsafe))
    _is_malformed(lambda: seal(epoch_key(0), unsafe, b""))


@given(st.integers(0, 767))
def test_p20_keys_with_a_malformed_ml_kem_half(coefficient: int) -> None:
    """The attacker's ML-KEM half has a coefficient that is not below 3329."""
    data = bytearray(GOOD)
    at = coefficient // 2 * 3
    data[at : at + 3] = b"\xff\xff\xff"
    _is_malformed(lambda: parse_receive_key(PublicReceiveKey(bytes(data))))
    _is_malformed(lambda: seal(epoch_key(0), PublicReceiveKey(bytes(data)), b""))


@given(st.binary(max_size=1300))
def test_p20_keys_to_seal_to_of_any_bytes(data: bytes) -> None:
    """The attacker answers with any bytes, also of a wrong length."""
    for key in (data, data + GOOD, GOOD[: len(data)]):
        if len(key) != len(GOOD):
            _is_malformed(lambda key=key: seal(epoch_key(0), PublicReceiveKey(key), b""))


@given(st.binary(max_size=40), st.integers(0, SEALED_BYTES))
def test_p20_keys_sealed_in_any_bytes(noise: bytes, at: int) -> None:
    """The attacker sends any bytes as a sealed key, also with an all-zero X25519 share."""
    sealed = seal(epoch_key(0), GOOD, b"info")
    for other in (
        noise,
        sealed[:at],
        sealed[:1088] + bytes(32) + sealed[1120:],
        sealed[:at] + noise + sealed[at + len(noise) :],
    ):
        if other == sealed:
            continue
        with pytest.raises(Refused) as refused:
            receive_key(0).open(other, b"info")
        assert refused.value.reason is Reason.CANNOT_OPEN
