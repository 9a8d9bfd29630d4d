"""``--tls-ca``: which authority a device trusts for its hub's TLS, where it is not one that the system knows."""

from pathlib import Path
from typing import Annotated

import typer

from muster_client import Device

SYSTEM = "system"
"""Instead of a file: what the system trusts."""

TlsCa = Annotated[
    str | None,
    typer.Option(
        "--tls-ca",
        envvar="MUSTER_TLS_CA",
        metavar="FILE",
        help=f"Trust this authority (PEM) for the hub's TLS, and remember it; or `{SYSTEM}`.",
        show_default=False,
    ),
]


def read_tls_ca(named: str) -> str | None:
    """Give the certificates, or None for what the system trusts; raises ``BadCertificateAuthority``."""
    if named == SYSTEM:
        return None
    from muster_client import read_authority  # noqa: PLC0415 - TLS is slow to import

    return read_authority(Path(named))


def remember(device: Device, named: str | None) -> None:
    """Write into the device's data what ``--tls-ca`` said; nothing where it was not given."""
    if named is not None:
        device.trust_authority(read_tls_ca(named))
