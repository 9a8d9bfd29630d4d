"""The PROXY protocol: the header by which a proxy says whose bytes follow, as text (version 1) or binary (2)."""

import ipaddress
import re
from dataclasses import dataclass

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
"""How a binary header begins."""
PREAMBLE_BYTES = 16
"""The part of a binary header whose size is fixed: signature, version and command, family, length of the rest."""
MAX_BINARY_BYTES = 4_096
"""Room for what proxies add: the name that a client asked for, its certificate's subject, a checksum."""
TEXT = b"PROXY "
MAX_TEXT_BYTES = 107

_TEXT = re.compile(rb"PROXY (TCP4|TCP6) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) ([0-9]{1,5}) ([0-9]{1,5})\r\n")
_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: [^\r\n]*)?\r\n")
_MAX_PORT = 65_535
_VERSION, _LOCAL, _PROXIED = 2, 0, 1
_INET, _INET6 = 1, 2
_ADDRESS_BYTES = {_INET: 4, _INET6: 16}
_PORTS_BYTES = 4


class ProxyHeaderError(Exception):
    """Raised for bytes that begin as a PROXY header and are none."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """What a connection begins with: a header of ``size`` bytes, 0 where there is none, and the address in it.

    ``source`` is None where the proxy speaks for itself, or for a peer without an IP address.
    """

    size: int
    source: str | None = None


NO_HEADER = ProxyHeader(0)


def read_proxy_header(data: bytes) -> ProxyHeader | None:
    """Read the first bytes of a connection; return None as long as more of them decide. Raises ``ProxyHeaderError``."""
    if _begins(data, SIGNATURE):
        return _binary(data)
    return _text(data) if _begins(data, TEXT) else NO_HEADER


def _begins(data: bytes, mark: bytes) -> bool:
    return data[: len(mark)] == mark[: len(data)]


def _text(data: bytes) -> ProxyHeader | None:
    line, end, _ = data[:MAX_TEXT_BYTES].partition(b"\r\n")
    if not end:
        if len(data) >= MAX_TEXT_BYTES:
            raise ProxyHeaderError("too long")
        return None
    size = len(line + end)
    if _UNKNOWN.fullmatch(line + end):
        return ProxyHeader(size)
    found = _TEXT.fullmatch(line + end)
    if found is None or max(int(found[4]), int(found[5])) > _MAX_PORT:
        raise ProxyHeaderError("malformed")
    kind = ipaddress.IPv4Address if found[1] == b"TCP4" else ipaddress.IPv6Address
    try:
        source, _ = (kind(text.decode("ascii")) for text in (found[2], found[3]))
    except ValueError:
        raise ProxyHeaderError("no address") from None
    return ProxyHeader(size, str(source))


def _binary(data: bytes) -> ProxyHeader | None:
    if len(data) < PREAMBLE_BYTES:
        return None
    version, command = divmod(data[12], 16)
    size = PREAMBLE_BYTES + int.from_bytes(data[14:PREAMBLE_BYTES])
    if version != _VERSION or command not in {_LOCAL, _PROXIED} or size > MAX_BINARY_BYTES:
        raise ProxyHeaderError("of another version, or too long")
    if len(data) < size:
        return None
    address_bytes = _ADDRESS_BYTES.get(data[13] >> 4)
    if command == _LOCAL or address_bytes is None:
        return ProxyHeader(size)
    if size < PREAMBLE_BYTES + 2 * address_bytes + _PORTS_BYTES:
        raise ProxyHeaderError("too short for its addresses")
    return ProxyHeader(size, str(ipaddress.ip_address(data[PREAMBLE_BYTES : PREAMBLE_BYTES + address_bytes])))
