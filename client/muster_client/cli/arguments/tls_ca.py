"""``--tls-ca``: the certificate authority (CA) that a device trusts for its hub's TLS, in place of the system's."""

from pathlib import Path
from typing import Annotated

import typer

from muster_client import Device

SYSTEM = "system"
"""Value in place of a file: the authorities that the system trusts."""

TlsCa = Annotated[
    str | None,
    typer.Option(
        "--tls-ca",
        envvar="MUSTER_TLS_CA",
        metavar="FILE",
        help=f"Trust this CA (PEM) for the hub's TLS from now on; `{SYSTEM}`: the system's CAs.",
        show_default=False,
    ),
]


def read_tls_ca(named: str) -> str | None:
    """Return the certificates, or None for the system's authorities; raises ``BadCertificateAuthority``."""
    if named == SYSTEM:
        return None
    from muster_client import read_authority  # noqa: PLC0415 - TLS is slow to import

    return read_authority(Path(named))


def remember(device: Device, named: str | None) -> None:
    """Store the authority of ``--tls-ca`` in the device's data, if the option was given."""
    if named is not None:
        device.trust_authority(read_tls_ca(named))
