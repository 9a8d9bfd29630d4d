"""The certificate that a hub makes itself: a fresh TLS key, for which the hub's key vouches (SPEC.md section 4.7)."""

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID
from typing_extensions import override

from muster_hub.config.certificate import ServerCertificate, now_utc
from muster_hub.config.settings import SettingError
from muster_protocol.hub_tls import EXTENSION, certify
from muster_protocol.keys import SigningKey

FILE: Final = "tls.pem"
"""Certificate and key, in the node's data folder."""
RENEW_AFTER: Final = timedelta(days=30)
RETRY_AFTER: Final = timedelta(hours=1)
"""The pause after a renewal that failed."""
VALID_FOR: Final = timedelta(days=365)
"""What the certificate says; devices do not look at it."""
_NAME: Final = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Muster hub")])


class OwnCertificate(ServerCertificate):
    """A certificate that is made anew at each start and each 30 days; each node of a hub has its own.

    Raises ``SettingError`` where its file cannot be written.
    """

    __slots__ = ("_from", "_hub_key", "_until")

    def __init__(self, folder: Path, hub_key: SigningKey) -> None:
        self._hub_key = hub_key
        super().__init__(folder / FILE, folder / FILE)

    @override
    def renewed(self) -> bool:
        """Return whether it is time for another one; a clock that was set back makes it so too."""
        return not self._from <= now_utc() < self._until

    @override
    def reload(self) -> None:
        """Make another one; the old one stays in use when ``SettingError`` is raised."""
        now = now_utc()
        self._from, self._until = now, now + RETRY_AFTER
        _write(self._cert, _fresh(self._hub_key, now))
        super().reload()
        self._until = now + RENEW_AFTER

    @override
    def describe(self, now: datetime) -> str:
        """Return whose certificate it is, in words."""
        return "the hub's own, for which its key vouches; renewed by itself"


def _fresh(hub_key: SigningKey, now: datetime) -> bytes:
    """Return a new key and its certificate as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    voucher = x509.UnrecognizedExtension(x509.ObjectIdentifier(EXTENSION), certify(hub_key, (), spki))
    made = (
        x509.CertificateBuilder()
        .subject_name(_NAME)
        .issuer_name(_NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + VALID_FOR)
        .add_extension(voucher, critical=False)
        .sign(key, SHA256())
    )
    return made.public_bytes(Encoding.PEM) + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, content: bytes) -> None:
    # One file and one step, so that certificate and key always belong together.
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(content)
        draft.replace(path)
    except OSError as error:
        raise SettingError("data_dir", f"{path} cannot be written: {error.strerror}") from error
