"""The hub's own TLS certificate: loaded, with errors in words, and loaded again after a renewal.

Connections that are open keep what they were opened with; each new handshake gets the newest.
"""

import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from muster_hub.config.settings import SettingError

MAX_PEM_BYTES = 1024 * 1024
"""Size limit of a chain or a key file."""
KEY_EXCHANGE = "X25519"
"""The only key exchange, since its kind decides what a handshake costs: a peer could choose one of 170 ms."""
CURVE_COSTS = {256: 6.0, 384: 12.0, 521: 8.0}
"""What a TLS handshake costs by the bits of the certificate's curve, in signature checks."""
OTHER_COST = 12.0
"""The same for any other key that is no RSA key."""


# OpenSSL's reasons; without a reason, the file that it read as a key was no key.
_ANOTHER_KEY = frozenset({"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"})
_NO_KEY = frozenset({"PEM_LIB", "NO_START_LINE", "BAD_BASE64_DECODE", "UNSUPPORTED"})


class ServerCertificate:
    """A certificate chain and its key, from two PEM files. Raises ``SettingError`` when they cannot be used.

    ``context`` is what a listener is given, once and for all: each handshake is passed on to the newest certificate.
    """

    __slots__ = ("_cert", "_current", "_handshake_cost", "_key", "_seen", "context", "host", "not_after", "not_before")

    not_before: datetime
    not_after: datetime
    host: str
    """The first DNS name in the certificate; empty if it has none."""

    def __init__(self, cert: Path, key: Path) -> None:
        self._cert = cert
        self._key = key
        self.reload()
        self.context = _context()
        # Called for each handshake, also when the device names no host.
        self.context.sni_callback = self._hand_over

    def handshake_cost(self) -> float:
        """Return what a handshake with the newest certificate costs the hub, in signature checks."""
        return self._handshake_cost

    def describe(self, now: datetime) -> str:
        """Return whose certificate it is and how long it is valid, in words."""
        valid = describe_expiry(self, now) or f"valid until {self.not_after:%Y-%m-%d %H:%M} UTC"
        return f"of {self.host or 'no host'}; {valid}"

    def renewed(self) -> bool:
        """Return whether a file changed since the last load, or the last attempt to load it."""
        return self._marks() != self._seen

    def reload(self) -> None:
        """Load both files again; the old certificate stays in use when ``SettingError`` is raised."""
        self._seen = self._marks()
        fresh = _context()
        leaf = _leaf(self._cert)
        _read("tls_key", self._key)
        try:
            fresh.load_cert_chain(self._cert, self._key, password=lambda: _no_password(self._key))
        except ssl.SSLError as error:
            raise _misfit(self._cert, self._key, error) from error
        self._current = fresh
        self._handshake_cost = handshake_cost(leaf.public_key())
        self.not_before, self.not_after = leaf.not_valid_before_utc, leaf.not_valid_after_utc
        self.host = _host(leaf)

    def _marks(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_mark(path) for path in (self._cert, self._key))

    def _hand_over(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._current


def handshake_cost(key: CertificatePublicKeyTypes) -> float:
    """Return what a TLS handshake with such a key costs, as measured; for RSA it grows with the cube of the size."""
    if isinstance(key, rsa.RSAPublicKey):
        return 3.5 + 4.5 * (key.key_size / 2048) ** 3
    return CURVE_COSTS.get(key.key_size, OTHER_COST) if isinstance(key, ec.EllipticCurvePublicKey) else OTHER_COST


def describe_expiry(certificate: ServerCertificate, now: datetime) -> str:
    """Return what is wrong with the certificate's validity, in words; "" if nothing is."""
    if now > certificate.not_after:
        return f"it expired on {certificate.not_after:%Y-%m-%d %H:%M} UTC, and devices refuse it"
    if now < certificate.not_before:
        return f"it is not valid before {certificate.not_before:%Y-%m-%d %H:%M} UTC, and devices refuse it until then"
    return ""


def now_utc() -> datetime:
    """Return the time by which certificates are judged."""
    return datetime.now(UTC)


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ecdh_curve(KEY_EXCHANGE)
    return context


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _read(setting: str, path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_PEM_BYTES)
    except OSError as error:
        raise SettingError(setting, f"{path} cannot be read: {error.strerror}") from error


def _leaf(cert: Path) -> x509.Certificate:
    pem = _read("tls_cert", cert)
    try:
        return x509.load_pem_x509_certificates(pem)[0]
    except ValueError as error:
        raise SettingError("tls_cert", f"{cert} is not a certificate chain in PEM") from error


def _host(leaf: x509.Certificate) -> str:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ""
    hosts = names.get_values_for_type(x509.DNSName)
    return hosts[0] if hosts else ""


def _no_password(key: Path) -> NoReturn:
    # Without this the library would ask on the terminal, and a service has none.
    raise SettingError("tls_key", f"{key} is locked with a password; the hub needs a key without one")


def _misfit(cert: Path, key: Path, error: ssl.SSLError) -> SettingError:
    if error.reason in _ANOTHER_KEY:
        return SettingError("tls_key", f"{key} is not the key of the certificate in {cert}")
    if not error.reason or error.reason in _NO_KEY:
        return SettingError("tls_key", f"{key} is no private key in PEM")
    return SettingError("tls_cert", f"{cert} and {key} cannot be used: {error.reason.replace('_', ' ').lower()}")
