"""Invitations to a hub that does not take every device (SPEC.md section 4.6).

An invitation is one line that a person pastes: the hub's URL, ``#``, and 72 letters that hold the fingerprint of the
hub's key, a code for one device, and a check of the whole line.
"""

import base64
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from muster_protocol.errors import Refused
from muster_protocol.ids import FINGERPRINT_BYTES, EnrolmentCode, Fingerprint
from muster_protocol.labels import INVITATION
from muster_protocol.reasons import Reason

MAX_URL_CHARS: Final = 255
MAX_INVITATION_CHARS: Final = MAX_URL_CHARS + 1 + 72
"""Without white space around it."""

CODE_MS: Final = 24 * 3_600_000
"""How long a code may be used."""

_CHECK_BYTES = 3
_LETTERS = 72
_ALPHABET = frozenset("abcdefghijklmnopqrstuvwxyz234567")


@dataclass(frozen=True, slots=True)
class Invitation:
    """Where a hub is, the key that it must show, and the code that it takes from one device, once."""

    url: str
    hub: Fingerprint
    code: EnrolmentCode

    def text(self) -> str:
        """Return the line that a person pastes."""
        check = _check(self.url, self.hub + self.code)
        return f"{self.url}#{base64.b32encode(self.hub + self.code + check).decode().lower()}"


def parse_invitation(text: str) -> Invitation:
    """Read a pasted line; white space around it, and capitals in its letters, do not matter.

    Raises ``Refused``: ``malformed`` for what is no invitation, ``mistyped`` where a part of it was changed.
    """
    line = text.strip()
    url, _, letters = line.rpartition("#")
    letters = letters.lower()
    if not 0 < len(url) <= MAX_URL_CHARS or not line.isascii() or not line.isprintable():
        raise Refused(Reason.MALFORMED, "an invitation is a hub's URL, #, and 72 letters and digits")
    if len(letters) != _LETTERS or not _ALPHABET.issuperset(letters):
        raise Refused(Reason.MISTYPED, "an invitation ends with 72 letters a-z and digits 2-7")
    held = base64.b32decode(letters.upper())
    said, check = held[:-_CHECK_BYTES], held[-_CHECK_BYTES:]
    if _check(url, said) != check:
        raise Refused(Reason.MISTYPED, "the check of the invitation fails")
    return Invitation(url, Fingerprint(said[:FINGERPRINT_BYTES]), EnrolmentCode(said[FINGERPRINT_BYTES:]))


def _check(url: str, said: bytes) -> bytes:
    return sha256(INVITATION + url.encode() + b"\0" + said).digest()[:_CHECK_BYTES]
