"""A device's identity as text for another device: ``muster:<ClientId>:<fingerprint in base32>``."""

import base64
from dataclasses import dataclass

from muster_protocol.ids import FINGERPRINT_BYTES, ClientId, Fingerprint, parse_client_id

SCHEME = "muster"
_HEX_CHARS = 2 * FINGERPRINT_BYTES
_BASE32_CHARS = 52
"""Characters of 32 bytes in base32 without padding."""


@dataclass(frozen=True, slots=True)
class NamedKey:
    """A device, and its key's fingerprint if the text has one."""

    client: ClientId
    fingerprint: Fingerprint | None


def spell_fingerprint(fingerprint: Fingerprint) -> str:
    """Return a fingerprint as 52 characters of a-z and 2-7."""
    return base64.b32encode(fingerprint).decode("ascii").rstrip("=").lower()


def id_text(client: ClientId, fingerprint: Fingerprint) -> str:
    """Return the text that another device needs to trust this one."""
    return f"{SCHEME}:{client}:{spell_fingerprint(fingerprint)}"


def parse_fingerprint(text: str) -> Fingerprint:
    """Parse a fingerprint in hex (64 characters) or base32 (52), in any case, with colons, spaces or dashes.

    Raises ``ValueError``.
    """
    plain = "".join(text.split()).replace(":", "").replace("-", "").lower()
    found = _decode(plain)
    # The last base32 character holds one bit only: another spelling of the same bytes is a typo.
    if found is None or plain not in {found.hex(), spell_fingerprint(found)}:
        raise ValueError("a fingerprint is 64 characters of 0-9 and a-f, or 52 of a-z and 2-7")
    return found


def _decode(plain: str) -> Fingerprint | None:
    try:
        if len(plain) == _HEX_CHARS:
            return Fingerprint(bytes.fromhex(plain))
        if len(plain) == _BASE32_CHARS:
            return Fingerprint(base64.b32decode(plain.upper() + "===="))
    except ValueError:
        return None
    return None


def parse_id(text: str) -> NamedKey:
    """Parse an id text, or a bare ClientId. Raises ``ValueError``, or ``Refused(malformed)`` for a bad ClientId."""
    scheme, colon, rest = text.strip().partition(":")
    if not colon:
        return NamedKey(parse_client_id(text), None)
    client, colon, fingerprint = rest.partition(":")
    if scheme.lower() != SCHEME or not colon:
        raise ValueError("an id text is muster:<id>:<fingerprint>, as `muster id` shows it on the other device")
    return NamedKey(parse_client_id(client), parse_fingerprint(fingerprint))
