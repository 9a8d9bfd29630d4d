"""The errors of sockets and TLS as a ``Trouble`` and a message for people."""

import socket
import ssl

from muster_client.connection.hub_key_tls import NotVouchedError
from muster_client.errors import HubUnreachable, Trouble

_UNKNOWN_CA = frozenset({2, 18, 19, 20, 21})
"""OpenSSL's codes for a chain without a known end: no issuer found, or a self-signed certificate."""
_NOT_YET_VALID, _EXPIRED = 9, 10
_WRONG_HOST = frozenset({62, 64})
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "UNKNOWN_PROTOCOL"})
"""OpenSSL's names for bytes that are not TLS."""


def from_os_error(error: OSError, url: str, proxy: str | None) -> HubUnreachable:
    """Return the error that says why no connection came about; ``proxy`` must be without its password."""
    if isinstance(error, ssl.SSLError):
        return _from_tls(error, url)
    if proxy is not None and not _was_cut(error):
        return HubUnreachable(f"no connection to the proxy {proxy}: {_words(error)}", Trouble.PROXY_FAILED)
    if isinstance(error, socket.gaierror):
        return HubUnreachable(f"the name in {url} is not known: {_words(error)}", Trouble.HUB_NAME_UNKNOWN)
    if url.startswith("wss:") and _was_cut(error):
        return HubUnreachable(f"{url} cut the TLS handshake", Trouble.TLS_CUT)
    return HubUnreachable(f"no connection to {url}: {_words(error)}")


def _from_tls(error: ssl.SSLError, url: str) -> HubUnreachable:
    if isinstance(error, NotVouchedError):
        said = f"the certificate of {url} names a hub's key that does not vouch for it"
        return HubUnreachable(said, Trouble.TLS_KEY_NOT_PROVEN)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _from_certificate(error, url)
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return HubUnreachable(f"{url} cut the TLS handshake", Trouble.TLS_CUT)
    if error.reason in _NOT_TLS:
        return HubUnreachable(f"{url} does not speak TLS on this port", Trouble.TLS_NOT_SPOKEN)
    reason = (error.reason or type(error).__name__).lower().replace("_", " ")
    return HubUnreachable(f"no TLS with {url}: {reason}", Trouble.TLS_FAILED)


def _from_certificate(error: ssl.SSLCertVerificationError, url: str) -> HubUnreachable:
    code = error.verify_code
    if code in _UNKNOWN_CA:
        return HubUnreachable(f"the certificate of {url} comes from an unknown authority", Trouble.TLS_UNKNOWN_CA)
    if code in _WRONG_HOST:
        return HubUnreachable(f"the certificate of {url} is for another name", Trouble.TLS_WRONG_HOST)
    if code == _EXPIRED:
        return HubUnreachable(f"the certificate of {url} has expired, by this device's clock", Trouble.TLS_EXPIRED)
    if code == _NOT_YET_VALID:
        return HubUnreachable(
            f"the certificate of {url} is not valid yet, by this device's clock", Trouble.TLS_NOT_YET_VALID
        )
    return HubUnreachable(f"the certificate of {url} is not accepted: {error.verify_message}", Trouble.TLS_FAILED)


def _was_cut(error: OSError) -> bool:
    return isinstance(error, ConnectionResetError | ConnectionAbortedError | BrokenPipeError)


def _words(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if error.errno is None:
        # The name has several addresses, and each failed for a reason of its own.
        return "no answer from any of its addresses"
    said = error.strerror or str(error) or type(error).__name__
    return said[:1].lower() + said[1:]
