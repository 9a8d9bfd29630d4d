"""The proxy to the hub, from the environment variables that other programs use too.

For ``wss://`` the first of ``WSS_PROXY``, ``HTTPS_PROXY``, ``SOCKS_PROXY`` and ``ALL_PROXY`` counts, for ``ws://`` of
``WS_PROXY``, ``HTTP_PROXY``, ``SOCKS_PROXY`` and ``ALL_PROXY``, in either case of letters; on macOS without any, what
the system is set to. ``NO_PROXY`` names hosts that are dialled directly. This machine itself always is.
"""

from urllib.parse import urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

from muster_client.device.hub_address import DEFAULT_PORTS, is_host, is_loopback
from muster_client.errors import HubUnreachable, Trouble

VARIABLES = ("WSS_PROXY", "WS_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "SOCKS_PROXY", "ALL_PROXY", "NO_PROXY")
_SCHEMES = frozenset({"http", "https", "socks4", "socks4a", "socks5", "socks5h"})
_ORDER = {"wss": ("wss", "https", "socks", "all"), "ws": ("ws", "http", "socks", "all")}


def proxy_for(url: str) -> str | None:
    """Return the proxy's URL, which may hold a password, or None for a direct way.

    Raises ``HubUnreachable`` with ``proxy_failed`` if the value in the environment is not a proxy.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host) or proxy_bypass(f"{host}:{parts.port or DEFAULT_PORTS[parts.scheme]}"):
        return None
    known = getproxies()
    named = (known.get(scheme) for scheme in _ORDER[parts.scheme])
    proxy = next((_as_url(proxy) for proxy in named if proxy), None)
    if proxy is not None and not _is_proxy(proxy):
        # It is not quoted: it may hold a password.
        raise HubUnreachable(
            "what the environment names as a proxy is not like http://proxy.example.org:3128", Trouble.PROXY_FAILED
        )
    return proxy


def shown(proxy: str) -> str:
    """Return a proxy's URL without its user and password."""
    parts = urlsplit(proxy)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _is_proxy(proxy: str) -> bool:
    try:
        parts = urlsplit(proxy)
        return parts.scheme in _SCHEMES and is_host(parts.hostname or "") and parts.port != 0
    except ValueError:
        return False


def _as_url(proxy: str) -> str:
    if "://" not in proxy:
        return f"http://{proxy}"
    # Some desktops write ``socks://``. The proxy then looks up names, since it may be the only one that can.
    return proxy.replace("socks://", "socks5h://", 1) if proxy.startswith("socks://") else proxy
