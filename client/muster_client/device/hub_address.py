"""The address of a hub, as a device dials it (SPEC.md section 3)."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from muster_client.errors import BadHubUrl
from muster_protocol.enrolment import MAX_URL_CHARS

MAX_HUB_URLS = 8
DEFAULT_PORTS = {"ws": 80, "wss": 443}
_NAME = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class HubAddress:
    """A URL to dial, and the origin that the connect signature covers: scheme, host, and any non-default port."""

    url: str
    origin: str


def parse_hub_url(text: str, *, insecure: bool = False) -> HubAddress:
    """Parse a hub's URL; ``insecure`` allows ``ws://`` to other machines. Raises ``BadHubUrl``."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        raise BadHubUrl(
            "the hub's URL cannot be read; it is like wss://hub.example.org or ws://127.0.0.1:7627"
        ) from None
    host = (parts.hostname or "").lower()
    if parts.scheme not in DEFAULT_PORTS or not host or parts.username is not None or len(text) > MAX_URL_CHARS:
        raise BadHubUrl("the hub's URL is like wss://hub.example.org or ws://127.0.0.1:7627, and names no user")
    if not is_host(host) or port == 0 or not text.strip().isprintable() or " " in text.strip():
        raise BadHubUrl("the hub's URL names no host, port or path that there could be; see its spelling")
    if parts.query or parts.fragment:
        raise BadHubUrl("the hub's URL has no query and no fragment")
    if parts.scheme == "ws" and not insecure and not is_loopback(host):
        raise BadHubUrl(
            "a ws:// URL is not encrypted and reaches this machine only; use wss://, or allow it with `--insecure`"
        )
    named = f"[{host}]" if ":" in host else host
    origin = f"{parts.scheme}://{named}" + ("" if port in {None, DEFAULT_PORTS[parts.scheme]} else f":{port}")
    return HubAddress(origin + parts.path.rstrip("/"), origin)


def parse_hub_urls(texts: Sequence[str], *, insecure: bool = False) -> tuple[HubAddress, ...]:
    """Parse the URLs of one hub, 1 to 8 of them; raises ``BadHubUrl``."""
    if not 0 < len(texts) <= MAX_HUB_URLS:
        raise BadHubUrl(f"a hub has 1 to {MAX_HUB_URLS} URLs")
    return tuple(parse_hub_url(text, insecure=insecure) for text in texts)


def is_host(host: str) -> bool:
    """Return whether ``host`` is an address or a well-formed name."""
    if ":" in host:
        return _is_address(host)
    try:
        return _NAME.fullmatch(host.encode("idna").decode()) is not None
    except UnicodeError:
        # A label that is empty or has more than 63 characters.
        return False


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Return whether ``host`` is this machine itself, by name or by address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
