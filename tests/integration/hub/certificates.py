"""Certificates for tests, made when they are needed: an authority of one's own, and what it signs."""

import asyncio
import datetime as dt
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = dt.timedelta(days=1)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Authority:
    """Signs certificates for 127.0.0.1 and localhost, and is trusted by users of ``context``."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("an authority of tests")
        builder = self._builder(self._name, self._key, _now() - DAY, _now() + DAY)
        usage = x509.KeyUsage(
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
        self._own = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def context(self) -> ssl.SSLContext:
        """Return what a device uses that trusts this authority alone."""
        context = ssl.create_default_context()
        context.load_verify_locations(cadata=self._own.public_bytes(serialization.Encoding.PEM).decode())
        return context

    def write(
        self,
        cert: Path | None,
        key: Path | None,
        *,
        begins: dt.timedelta = -DAY,
        ends: dt.timedelta = DAY,
        password: bytes | None = None,
    ) -> int:
        """Write a new certificate and its key to where they are wanted, and return its serial number."""
        own_key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        signed = (
            self._builder(_name("localhost"), own_key, _now() + begins, _now() + ends)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password is not None:
            encryption = serialization.BestAvailableEncryption(password)
        if key is not None:
            pem = serialization.Encoding.PEM
            key.write_bytes(own_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, encryption))
        if cert is not None:
            cert.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        return signed.serial_number

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, begins: dt.datetime, ends: dt.datetime
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
        )


async def served_serial(url: str, context: ssl.SSLContext) -> int:
    """Return the serial number of the certificate that a hub shows to a new connection."""
    host, _, port = url.removeprefix("wss://").rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=context)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return x509.load_der_x509_certificate(shown).serial_number
