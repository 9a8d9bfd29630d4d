"""Every label that separates one use of a hash, key or signature from another, in one place (SPEC.md section 2.2)."""

from enum import StrEnum

PREFIX = "muster/v1 "


class Kind(StrEnum):
    """The kinds of signed statements: of devices, then of the hub. Later kinds hold their names already."""

    CARD = "card"
    ROTATION = "rotation"
    TRUST = "trust"
    UNTRUST = "untrust"
    GRANT = "grant"
    REVOCATION = "revocation"
    CONNECT = "connect"
    INVITE = "invite"
    ANSWER = "answer"
    ADMISSION = "admission"
    JOINED = "joined"
    EPOCH = "epoch"
    LEAVE = "leave"
    REMOVE = "remove"
    SIGNAL = "signal"
    PAIR = "pair"
    WELCOME = "welcome"
    REFUSED = "refused"
    HUB_ROTATION = "hub_rotation"
    HEAD = "head"
    CUT = "cut"
    RECEIPT = "receipt"
    DEVICE_REVOCATION = "device_revocation"


def _label(name: str) -> bytes:
    return f"{PREFIX}{name}\0".encode("ascii")


CLIENT_ID = _label("client-id")
SESSION_ID = _label("session-id")
KEY = _label("key")
CHALLENGE = _label("hash challenge")
HELLO = _label("hash hello")
HELLO_MESSAGE = _label("hash hello message")
COMMITMENT = _label("epoch-key commitment")
SEAL_ADMISSION = _label("seal admission")
SEAL_EPOCH = _label("seal epoch")
EXPORT = _label("export")
CONTINUITY_KEY = _label("continuity key")
CONTINUITY_TOKEN = _label("continuity token")
CONTINUITY_PROOF = _label("continuity proof")
INVITATION = _label("invitation")
TLS = _label("tls")

SIGN: dict[Kind, bytes] = {kind: _label(kind) for kind in Kind}
"""What stands before the body when a statement of that kind is signed."""
HASH: dict[Kind, bytes] = {kind: _label(f"hash {kind}") for kind in Kind}
"""What stands before the body when a statement of that kind is hashed."""
