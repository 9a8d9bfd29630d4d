"""TLS to the hub: by the system's authorities, or by the one that this device was given."""

import ssl
from pathlib import Path

from muster_client.device.device import Device
from muster_client.errors import BadCertificateAuthority

MAX_CA_BYTES = 256 * 1024
"""Far more than any authority needs, and less than a system's whole bundle, which no device needs to name."""


def read_authority(path: Path) -> str:
    """Return the PEM certificates in a file of at most 256 KiB; raises ``BadCertificateAuthority``."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CA_BYTES + 1)
    except OSError as error:
        raise BadCertificateAuthority(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > MAX_CA_BYTES:
        raise BadCertificateAuthority(f"{path} has more than {MAX_CA_BYTES} bytes")
    try:
        pem = data.decode("ascii")
        _context(pem)
    except (UnicodeDecodeError, ssl.SSLError, ValueError):
        raise BadCertificateAuthority(f"{path} holds no PEM certificate that can be used") from None
    return pem


def tls_context(device: Device) -> ssl.SSLContext | None:
    """Return the TLS context for this device's hub, or None to trust what the system trusts.

    If the device was given an authority, only that one is trusted.
    """
    pem = device.authority
    return None if pem is None else _context(pem)


def _context(pem: str) -> ssl.SSLContext:
    # Not by ``create_default_context``: it would take an empty text for the system's authorities.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=pem)
    if not context.cert_store_stats()["x509"]:
        raise ValueError("no certificate")
    return context
