"""IP addresses in the one form in which they are compared and counted."""

import ipaddress
from collections.abc import Iterable
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def parsed(host: str) -> Address | None:
    """Return an address without its zone, an IPv4 one that is written as IPv6 as IPv4; None for what is no address."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_within(host: str, networks: Iterable[Network]) -> bool:
    """Return whether a host is an address of one of these networks."""
    address = parsed(host) if networks else None
    return address is not None and any(address in network for network in networks)
