"""TLS by the hub's key: its certificate carries that key's word, and no authority is asked (SPEC.md section 4.7)."""

import ssl

from typing_extensions import override

from muster_protocol.errors import Refused
from muster_protocol.hub_tls import EXTENSION, check, shown_voucher
from muster_protocol.ids import Fingerprint
from muster_protocol.reasons import Reason


class NoVoucherError(ssl.SSLCertVerificationError):
    """The certificate carries no hub's word: authorities may know it."""


class NotVouchedError(ssl.SSLCertVerificationError):
    """The certificate carries a word that does not count. ``changed``: another hub's key, which vouches for it."""

    changed: Fingerprint | None = None


class HubKeyTls(ssl.SSLObject):
    """A TLS connection whose handshake ends only once the pinned key vouches for the certificate."""

    @override
    def do_handshake(self) -> None:
        """Go on with the handshake. What is sent waits for its end, so nothing is sent to another."""
        super().do_handshake()
        context = self.context
        if not isinstance(context, HubKeyContext):
            raise NoVoucherError("no key is pinned")
        _judge(self.getpeercert(binary_form=True), context.pinned)


class HubKeyContext(ssl.SSLContext):
    """TLS settings that ask the pinned key alone."""

    sslobject_class = HubKeyTls
    pinned: Fingerprint

    @classmethod
    def of(cls, pinned: Fingerprint) -> "HubKeyContext":
        """Return the settings for a hub of which this fingerprint is pinned."""
        context = cls(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        # A later handshake could bring another certificate, which would not be checked.
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.pinned = pinned
        return context


def _judge(certificate: bytes | None, pinned: Fingerprint) -> None:
    found = _voucher_in(certificate or b"")
    if found is None:
        raise NoVoucherError("no hub's key vouches for the certificate")
    try:
        voucher = shown_voucher(*found)
    except Refused as refused:
        raise NotVouchedError(str(refused)) from None
    try:
        check(voucher, pinned)
    except Refused as refused:
        error = NotVouchedError(str(refused))
        if refused.reason is Reason.HUB_KEY_CHANGED:
            error.changed = voucher.hub_key.fingerprint
        raise error from None


def _voucher_in(certificate: bytes) -> tuple[bytes, bytes] | None:
    """Return the extension and the SubjectPublicKeyInfo; None without the extension, or for what cannot be read."""
    # Slow to import, and most commands ask no hub.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

    try:
        leaf = x509.load_der_x509_certificate(certificate)
        found = leaf.extensions.get_extension_for_oid(x509.ObjectIdentifier(EXTENSION)).value
        spki = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm, x509.ExtensionNotFound, x509.DuplicateExtension, x509.InvalidVersion):
        return None
    return (found.value, spki) if isinstance(found, x509.UnrecognizedExtension) else None
