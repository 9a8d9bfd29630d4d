"""Names and fixed-size values as types, with the shapes that the wire allows (SPEC.md section 1)."""

import base64
from hashlib import sha256
from typing import Annotated, NewType

from msgspec import Meta

from muster_protocol.errors import Refused
from muster_protocol.labels import CLIENT_ID, SESSION_ID
from muster_protocol.reasons import Reason

ID_BYTES = 20
"""Bytes of a hash that a ClientId or SessionId spells out."""
ID_CHARS = 32
"""Characters of a ClientId or SessionId: 20 bytes in base32 without padding."""

FINGERPRINT_BYTES = 32
"""Bytes of a fingerprint, and of every other hash: SHA-256."""
NONCE_BYTES = 32
CODE_BYTES = 10
RANDOM_ID_BYTES = 16
"""Bytes of the id of an invite, an instance or a grant, and of a session's seed: all random."""
MAX_TIME_MS = 2**53 - 1
"""The latest time in ms that every language can hold exactly."""

_ID_PATTERN = r"\A[a-z2-7]{32}\Z"
_Hash = Annotated[bytes, Meta(min_length=FINGERPRINT_BYTES, max_length=FINGERPRINT_BYTES)]
_RandomId = Annotated[bytes, Meta(min_length=RANDOM_ID_BYTES, max_length=RANDOM_ID_BYTES)]

ClientId = NewType("ClientId", Annotated[str, Meta(pattern=_ID_PATTERN)])
SessionId = NewType("SessionId", Annotated[str, Meta(pattern=_ID_PATTERN)])
Fingerprint = NewType("Fingerprint", _Hash)
Hash = NewType("Hash", _Hash)
Nonce = NewType("Nonce", Annotated[bytes, Meta(min_length=NONCE_BYTES, max_length=NONCE_BYTES)])
Signature = NewType("Signature", Annotated[bytes, Meta(min_length=64, max_length=64)])
InviteId = NewType("InviteId", _RandomId)
"""The invite's name and its nonce in one."""
InstanceId = NewType("InstanceId", _RandomId)
GrantId = NewType("GrantId", _RandomId)
EnrolmentCode = NewType("EnrolmentCode", Annotated[bytes, Meta(min_length=CODE_BYTES, max_length=CODE_BYTES)])
"""What one device shows once to a hub that takes only those that it knows."""
Seed = NewType("Seed", _RandomId)
"""What a session's id is made from, beside its creator."""
TimeMs = NewType("TimeMs", Annotated[int, Meta(ge=0, le=MAX_TIME_MS)])
"""Milliseconds since 1970-01-01T00:00Z by the clock of its author."""
Serial = NewType("Serial", Annotated[int, Meta(ge=1, le=MAX_TIME_MS)])
"""One rising counter per device for all its durable statements (SPEC.md section 2.4)."""


def _spell(digest: bytes) -> str:
    return base64.b32encode(digest[:ID_BYTES]).decode("ascii").lower()


def client_id(alg: str, genesis_public: bytes) -> ClientId:
    """Name the device whose first public key is ``genesis_public``."""
    return ClientId(_spell(sha256(CLIENT_ID + alg.encode() + b"\0" + genesis_public).digest()))


def session_id(creator: ClientId, seed: Seed) -> SessionId:
    """Name the session that ``creator`` made from a seed; every receiver computes it again."""
    return SessionId(_spell(sha256(SESSION_ID + creator.encode() + b"\0" + seed).digest()))


def parse_client_id(text: str) -> ClientId:
    """Accept a ClientId as people write it: any case, with spaces or dashes between groups.

    Raises ``Refused(malformed)``.
    """
    plain = "".join(text.split()).replace("-", "").lower()
    if not text.isascii() or len(plain) != ID_CHARS or not set(plain) <= set("abcdefghijklmnopqrstuvwxyz234567"):
        raise Refused(Reason.MALFORMED, "a ClientId is 32 characters of a-z and 2-7")
    return ClientId(plain)
