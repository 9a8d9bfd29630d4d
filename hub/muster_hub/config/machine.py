"""The names and addresses by which devices elsewhere may dial this machine."""

import ipaddress
import re
import socket

_NAME = re.compile(r"[a-z0-9._-]{1,253}")
_LOCAL_DOMAIN = ".local"


def machine_hosts(version: int) -> tuple[str, ...]:
    """Return this machine's addresses of IP version 4 or 6, its names, and the addresses that only itself can dial.

    A link-local address of IPv6 is left out, since each device would need its own network's name with it.
    """
    found = [ipaddress.ip_address(text) for text in _addresses()]
    usable = [
        each for each in dict.fromkeys(found) if each.version == version and not (version == 6 and each.is_link_local)
    ]
    far = [str(each) for each in usable if not each.is_loopback]
    near = [str(each) for each in usable if each.is_loopback]
    return (*far, *_names(), *near, "localhost")


def _addresses() -> list[str]:
    import ifaddr  # noqa: PLC0415 - only a hub on every address needs it

    found = [ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips]
    return [str(ip if isinstance(ip, str) else ip[0]) for ip in found]


def _names() -> list[str]:
    """Return the host name, and the one by which a local network knows it (RFC 6762)."""
    name = socket.gethostname().lower()
    if name == "localhost" or not _NAME.fullmatch(name):
        return []
    return list(dict.fromkeys([name, name.split(".")[0] + _LOCAL_DOMAIN]))
