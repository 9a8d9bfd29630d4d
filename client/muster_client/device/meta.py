"""Single values in the device's database: settings, the hub's pin, the continuity token of each hub."""

import sqlite3
from typing import TypeVar

from msgspec import Struct

from muster_protocol.codec import convert, encode, unpack
from muster_protocol.continuity import Token
from muster_protocol.ids import CODE_BYTES, FINGERPRINT_BYTES, EnrolmentCode, Fingerprint, TimeMs

T = TypeVar("T", bound=Struct)

SETTINGS = "settings"
PINNED_HUB = "pinned_hub"
AUTHORITY = "tls_authority"
INVITATION = "invitation"
BY_HUB_KEY = "tls_by_hub_key"
CONFIRMED = "only_copy_confirmed_ms"
TOKEN = "continuity_token:"  # noqa: S105 - how the row's name begins; the fingerprint of the hub's key follows

_YES, _NO = b"\x01", b"\x00"


class Meta:
    """Named values; each write is on disk when the method returns, unless a transaction is open."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def read_all(self, struct: type[Struct]) -> None:
        """Read every value; raises what reading one raises, and ``ValueError`` for a pin of the wrong length."""
        self.settings(struct)
        for (value,) in self._db.execute("SELECT value FROM meta WHERE name GLOB ?", (f"{TOKEN}*",)):
            convert(unpack(value), Token)
        self.authority()
        pinned = self.pinned_hub()
        if pinned is not None and len(pinned) != FINGERPRINT_BYTES:
            raise ValueError("the pin of the hub has another length")
        code = self.invitation()
        if code is not None and len(code) != CODE_BYTES:
            raise ValueError("the code of an invitation has another length")

    def _get(self, name: str) -> bytes | None:
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def _put(self, name: str, value: bytes) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def settings(self, struct: type[T]) -> T:
        """Return the settings; raises ``LookupError`` if there are none."""
        value = self._get(SETTINGS)
        if value is None:
            raise LookupError("the device's settings are missing")
        return convert(unpack(value), struct)

    def put_settings(self, settings: Struct) -> None:
        """Replace the settings."""
        self._put(SETTINGS, encode(settings))

    def pinned_hub(self) -> Fingerprint | None:
        """Return the hub's pin."""
        value = self._get(PINNED_HUB)
        return None if value is None else Fingerprint(value)

    def pin_hub(self, fingerprint: Fingerprint) -> None:
        """Replace the hub's pin."""
        self._put(PINNED_HUB, fingerprint)

    def authority(self) -> str | None:
        """Return the certificates, PEM, that this device trusts for its hub's TLS."""
        value = self._get(AUTHORITY)
        return None if value is None else value.decode()

    def trust_authority(self, pem: str | None) -> None:
        """Replace those certificates; None: what the system trusts."""
        if pem is None:
            self._db.execute("DELETE FROM meta WHERE name = ?", (AUTHORITY,))
        else:
            self._put(AUTHORITY, pem.encode())

    def by_hub_key(self) -> bool | None:
        """Return whether the hub's key vouched for its TLS at the last connect; None before the first one."""
        value = self._get(BY_HUB_KEY)
        return None if value is None else value == _YES

    def note_by_hub_key(self, *, vouched: bool) -> None:
        """Replace that."""
        self._put(BY_HUB_KEY, _YES if vouched else _NO)

    def forget_hub(self) -> None:
        """Delete the hub's pin, how its TLS was judged, and an invitation to it.

        Its token stays: the device may come back to it, or find it under another address.
        """
        self._db.execute("DELETE FROM meta WHERE name IN (?, ?)", (PINNED_HUB, BY_HUB_KEY))
        self.keep_invitation(None)

    def invitation(self) -> EnrolmentCode | None:
        """Return the code of an invitation that no hub took yet."""
        value = self._get(INVITATION)
        return None if value is None else EnrolmentCode(value)

    def keep_invitation(self, code: EnrolmentCode | None) -> None:
        """Replace that code; None: there is none."""
        if code is None:
            self._db.execute("DELETE FROM meta WHERE name = ?", (INVITATION,))
        else:
            self._put(INVITATION, code)

    def note_confirmed(self, at: TimeMs) -> None:
        """Record when the person last confirmed these data as the only copy in use."""
        self._put(CONFIRMED, str(at).encode())

    def token(self, hub: Fingerprint) -> Token | None:
        """Return the continuity token of the hub with this key."""
        value = self._get(f"{TOKEN}{hub.hex()}")
        return None if value is None else convert(unpack(value), Token)

    def keep_token(self, hub: Fingerprint, token: Token) -> None:
        """Replace the continuity token of the hub with this key; there are as many as hubs that the person chose."""
        self._put(f"{TOKEN}{hub.hex()}", encode(token))
