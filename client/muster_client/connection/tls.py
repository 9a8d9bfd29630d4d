"""TLS to the hub: by its key, by the system's authorities, or by the one that this device was given."""

import ssl
from pathlib import Path
from typing import TypeAlias

from muster_client.connection.hub_key_tls import HubKeyContext
from muster_client.device.device import Device
from muster_client.errors import BadCertificateAuthority
from muster_protocol.ids import Fingerprint

TlsWays: TypeAlias = tuple[ssl.SSLContext | None, ...]
"""The ways in which a hub's certificate may be judged, the likeliest first; None: by the system's authorities."""

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


def tls_ways(device: Device, pinned: Fingerprint | None = None) -> TlsWays:
    """Return how to judge the certificate of this device's hub: by the pinned key, and by authorities.

    What worked last comes first. If the device was given an authority, that one alone is asked. ``pinned`` None: the
    key that the device pinned.
    """
    pem, pinned = device.authority, pinned or device.pinned_hub
    by_authority = None if pem is None else _context(pem)
    if pinned is None:
        return (by_authority,)
    by_key = HubKeyContext.of(pinned)
    return (by_authority, by_key) if device.hub.by_hub_key is False else (by_key, by_authority)


def _context(pem: str) -> ssl.SSLContext:
    # Not by ``create_default_context``: it would take an empty text for the system's authorities.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=pem)
    if not context.cert_store_stats()["x509"]:
        raise ValueError("no certificate")
    return context
