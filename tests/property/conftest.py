"""What all property tests share: a signature that comes again under the same key and over the same bytes is known.

A hub that repeats and forges has the same signatures verified dozens of times, which takes a quarter of the time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from muster_protocol import keys

KNOWN = 10_000
"""Verdicts that are kept: more than an example asks for."""


@lru_cache(KNOWN)
def is_good(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


@dataclass(frozen=True, slots=True)
class KnowingKey:
    """The library's public key, as far as the protocol uses it."""

    public: bytes

    @classmethod
    def from_public_bytes(cls, data: bytes) -> Self:
        return cls(data)

    def verify(self, signature: bytes, message: bytes) -> None:
        if not is_good(self.public, signature, message):
            raise InvalidSignature


@pytest.fixture(scope="package", autouse=True)
def known_signatures() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "Ed25519PublicKey", KnowingKey)
        yield
