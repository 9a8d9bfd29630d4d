"""The address to listen on and the origins that devices dial: settings that have to fit together."""

import ipaddress
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from muster_hub.config.certificate import ServerCertificate
from muster_hub.config.machine import machine_hosts
from muster_hub.config.settings import MAY_BE, Enrolment, SettingError, Settings, Tls

MAX_PORT = 65_535
_DEFAULT_PORTS = {"ws": 80, "wss": 443}
READ_EVERY_S = 5.0
"""For how long this machine's addresses are taken as they were read."""
_LOCAL = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True)
class Binding:
    """The address to listen on; ``host`` without brackets, ``port`` 0 for any.

    ``own_tls``: the hub makes its certificate, once it has its key.
    """

    host: str
    port: int
    certificate: ServerCertificate | None
    own_tls: bool

    @property
    def scheme(self) -> str:
        """``wss`` if this hub ends TLS itself, else ``ws``."""
        return "wss" if self.own_tls or self.certificate is not None else "ws"

    def url(self, port: int) -> str:
        """Return the URL that a device on this machine, or one that reaches this address, dials."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - the name of it
        return f"{self.scheme}://{_bracketed(host)}:{port}"


def binding(settings: Settings) -> Binding:
    """Return the address to listen on, with the certificate loaded. Raises ``SettingError``."""
    host, _, port = settings.listen.rpartition(":")
    if int(port) > MAX_PORT:
        raise SettingError("listen", f"has no port {port}; 65535 is the last")
    host = host.strip("[]")
    certificate = _certificate(settings.tls_cert, settings.tls_key)
    found = Binding(host, int(port), certificate, own_tls=_own_tls(settings, host))
    _check(settings, found)
    return found


def origins(settings: Settings, found: Binding, port: int) -> frozenset[str]:
    """Return the origins that devices may sign, each with and without the scheme's default port."""
    named = settings.origin or _derived(found, port)
    return frozenset(spelling for origin in named for spelling in _spellings(origin))


class AcceptedOrigins:
    """The origins that devices may sign now: those of this machine's addresses are read again as they change."""

    __slots__ = ("_accepted", "_ask", "_read_s")

    def __init__(self, settings: Settings, found: Binding, port: int) -> None:
        self._ask = (settings, found, port)
        self._read()

    def __call__(self) -> frozenset[str]:
        """Return the origins."""
        settings, found, _ = self._ask
        if time.monotonic() - self._read_s >= READ_EVERY_S and _is_any(found.host) and not settings.origin:
            self._read()
        return self._accepted

    def _read(self) -> None:
        self._accepted = origins(*self._ask)
        self._read_s = time.monotonic()


def dialled(settings: Settings, found: Binding, port: int) -> tuple[str, ...]:
    """Return the URLs that devices elsewhere dial, as far as the settings tell; invitations name the first one."""
    if settings.origin:
        return settings.origin
    return tuple(_derived(found, port)) if _is_any(found.host) else (found.url(port),)


def host_names(settings: Settings, found: Binding) -> frozenset[str]:
    """Return the hosts of the origins, without their ports, in lower case and without brackets."""
    return frozenset(urlsplit(origin).hostname or "" for origin in origins(settings, found, found.port))


def enrolment(settings: Settings, found: Binding) -> Enrolment:
    """Return which devices may connect: as set; else any where this machine alone, and no proxy, reaches the hub."""
    if settings.enrolment is not None:
        return settings.enrolment
    named = [urlsplit(origin).hostname or "" for origin in settings.origin]
    local = not settings.trusted_proxy and all(map(_is_loopback, [found.host, *named]))
    return "open" if local else "invited"


def trusted_proxies(settings: Settings) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """Return the networks of the trusted proxies. Raises ``SettingError``."""
    try:
        networks = tuple(map(ipaddress.ip_network, settings.trusted_proxy))
    except ValueError as error:
        raise SettingError("trusted_proxy", f"{error}; it must be {MAY_BE['trusted_proxy']}") from None
    if not all(network.prefixlen for network in networks):
        raise SettingError("trusted_proxy", f"must be {MAY_BE['trusted_proxy']}")
    return networks


def tls(found: Binding) -> Tls:
    """Return who makes the certificate: ``auto`` where it comes from files."""
    if found.own_tls:
        return "own"
    return "off" if found.certificate is None else "auto"


def _check(settings: Settings, found: Binding) -> None:
    trusted_proxies(settings)
    if not settings.origin and _is_any(found.host) and not found.own_tls:
        raise SettingError("origin", f"has to be named where the hub listens on every address ({settings.listen})")
    plain = [origin for origin in settings.origin or _derived(found, found.port) if _plain_and_far(origin)]
    if plain and not settings.insecure:
        raise SettingError(
            "origin",
            f"{plain[0]} can be read on the way; use wss:// (a proxy that ends TLS, or leave origin out and tls as it"
            " is), or set insecure",
        )


def _derived(found: Binding, port: int) -> list[str]:
    address = _address(found.host)
    if address is not None and address.is_unspecified:
        return [f"{found.scheme}://{_bracketed(host)}:{port}" for host in machine_hosts(address.version)]
    hosts = _LOCAL if _is_loopback(found.host) else (_bracketed(found.host),)
    return [f"{found.scheme}://{host}:{port}" for host in dict.fromkeys((*hosts, _bracketed(found.host)))]


def _spellings(origin: str) -> set[str]:
    parts = urlsplit(origin.lower())
    host = _bracketed(parts.hostname or "")
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    spellings = {f"{parts.scheme}://{host}:{port}"}
    if port == _DEFAULT_PORTS[parts.scheme]:
        spellings.add(f"{parts.scheme}://{host}")
    return spellings


def _plain_and_far(origin: str) -> bool:
    parts = urlsplit(origin)
    return parts.scheme == "ws" and not _is_loopback(parts.hostname or "")


def _is_any(host: str) -> bool:
    address = _address(host)
    return address is not None and address.is_unspecified


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _own_tls(settings: Settings, host: str) -> bool:
    if settings.tls_cert is not None:
        if settings.tls != "auto":
            raise SettingError("tls", f"cannot be {settings.tls} where tls_cert names a certificate")
        return False
    if settings.tls == "auto":
        return not (_is_loopback(host) or settings.origin or settings.trusted_proxy or settings.insecure)
    return settings.tls == "own"


def _certificate(cert: Path | None, key: Path | None) -> ServerCertificate | None:
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        missing = "tls_cert" if cert is None else "tls_key"
        raise SettingError(missing, "is missing: tls_cert and tls_key belong together")
    return ServerCertificate(cert, key)
