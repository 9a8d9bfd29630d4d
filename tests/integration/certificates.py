"""Certificates made for one test: an authority, and what it signs, in order or not."""

import asyncio
import ipaddress
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from muster_protocol.hub_tls import EXTENSION

DAY = timedelta(days=1)
PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_MAY_SIGN = x509.KeyUsage(
    digital_signature=True,
    key_cert_sign=True,
    crl_sign=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key as PEM files, as a server reads them."""

    cert: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context


class Authority:
    """An authority that no system knows. Its own certificate is in ``file``."""

    def __init__(self, folder: Path, name: str = "the test's own authority") -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / "authority.pem"
        made = (
            self._builder(self._name, self._key, begins=-400 * DAY, ends=400 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .add_extension(_MAY_SIGN, critical=True)
            .sign(self._key, SHA256())
        )
        self.file.write_bytes(made.public_bytes(Encoding.PEM))

    def context(self) -> ssl.SSLContext:
        """Return the TLS settings of a device that trusts this authority alone."""
        context = ssl.create_default_context()
        context.load_verify_locations(self.file)
        return context

    def issue(self, address: str = "127.0.0.1", *, begins: timedelta = -DAY, ends: timedelta = 90 * DAY) -> Issued:
        """Sign a certificate for an address, valid from and to so long from now."""
        serial = x509.random_serial_number()
        issued = Issued(self._folder / f"{serial:x}.pem", self._folder / f"{serial:x}.key")
        self.write(issued.cert, issued.key, (address,), begins=begins, ends=ends)
        return issued

    def write(
        self,
        cert: Path | None,
        key: Path | None,
        addresses: tuple[str, ...] = ("localhost", "127.0.0.1"),
        *,
        begins: timedelta = -DAY,
        ends: timedelta = DAY,
        password: bytes | None = None,
        own: PrivateKey | None = None,
    ) -> int:
        """Write a new certificate and its key to these files, and return its serial number; None: not written."""
        own = own or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, addresses[0])])
        signed = (
            self._builder(subject, own, begins=begins, ends=ends)
            .add_extension(x509.SubjectAlternativeName([_name(address) for address in addresses]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, SHA256())
        )
        encryption: KeySerializationEncryption = NoEncryption()
        if password is not None:
            encryption = BestAvailableEncryption(password)
        if key is not None:
            key.write_bytes(own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
        if cert is not None:
            cert.write_bytes(signed.public_bytes(Encoding.PEM))
        return signed.serial_number

    def _builder(
        self, subject: x509.Name, key: PrivateKey, *, begins: timedelta, ends: timedelta
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begins)
            .not_valid_after(now + ends)
        )


def vouched(
    folder: Path,
    extension: Callable[[bytes], bytes] | None,
    *,
    begins: timedelta = -DAY,
    ends: timedelta = DAY,
) -> ssl.SSLContext:
    """Return a server's settings with a certificate that signs itself and carries ``extension`` of its public key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "anybody")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now + begins, now + ends
    )
    if extension is not None:
        value = extension(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
        found = x509.UnrecognizedExtension(x509.ObjectIdentifier(EXTENSION), value)
        builder = builder.add_extension(found, critical=False)
    file = folder / f"{x509.random_serial_number():x}.pem"
    file.write_bytes(
        builder.sign(key, SHA256()).public_bytes(Encoding.PEM)
        + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


async def served_extension(port: int) -> bytes:
    """Return the extension in the certificate that a hub shows, as anybody can read it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    leaf = x509.load_der_x509_certificate(shown)
    found = leaf.extensions.get_extension_for_oid(x509.ObjectIdentifier(EXTENSION)).value
    assert isinstance(found, x509.UnrecognizedExtension)
    return found.value


async def served_serial(url: str, context: ssl.SSLContext) -> int:
    """Return the serial number of the certificate that a hub shows to a new connection."""
    host, _, port = url.removeprefix("wss://").rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=context)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return x509.load_der_x509_certificate(shown).serial_number


def _name(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)
