"""A listener's address and its limits."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from muster_hub.listener.ip_address import Network
from muster_hub.rate_limits.token_bucket import Rate
from muster_protocol.codec import MAX_MESSAGE_BYTES

HANDSHAKE_DEADLINE_S = 10.0
"""The longest TLS handshake, and then the time to the complete HTTP request."""

REFUSAL_DEADLINE_S = 2.0
"""The same for a socket beyond a limit: its place is needed to answer others, also health checks."""

AUTH_DEADLINE_S = 10.0
"""From the upgrade to ``SocketPeer.authenticated``."""

KEEPALIVE_INTERVAL_S = 20.0
"""Silence after which a peer is pinged; up to a quarter less, so that pings spread."""

KEEPALIVE_TIMEOUT_S = 20.0
"""Silence after that ping that counts as a lost connection."""

CLOSE_TIMEOUT_S = 5.0
"""Time for a peer to finish the closing handshake, or to read what is left, before the socket is reset."""

SWEEP_INTERVAL_S = 1.0
"""How often deadlines are checked, and so how exact they are."""

MAX_HEAD_BYTES = 32 * 1024
"""Limit of one HTTP request head; the parser's own, 128 lines of 8 KiB, is too much from a stranger."""

UNSENT_LIMIT_BYTES = 1024 * 1024
"""Limit of the bytes that wait in memory for one peer that does not read."""

UNREAD_BYTES = 64 * 1024
"""Bytes that wait for a peer above which its handler should cause no more of them."""

MAX_CONNECTIONS = 20_000
MAX_UNAUTHENTICATED = 2_000
MAX_UNAUTHENTICATED_PER_ADDRESS = 200
MAX_PER_ADDRESS = 2_000
"""Authenticated connections from one address: identities are free, so one host could take all places."""
MAX_REFUSALS_AT_ONCE = 200
"""Sockets beyond a limit that are kept until their request is answered with 503; others are reset."""

RETRY_AFTER_S = 5
"""The Retry-After of a 503."""

ACCEPT_BACKLOG = 1024

STRANGER_WORK = Rate(per_s=400, burst=2_000)
"""What unauthenticated peers of one address may cause, in signature checks: 8 % of a core. At once 500 devices come in,
and 200 of them where this listener ends TLS with a P-256 key."""
SOCKET = 2
"""A socket that is accepted, with the HTTP request that it brings, in signature checks."""
MAX_ADDRESSES = 20_000
"""Addresses whose allowance is remembered; the least recently used one is forgotten first."""
IDLE_FRAME = 100
"""A frame that ends no message, in frames, and a small read that ends none. Messages are paid as requests, these by
nothing else: so 2,000 connections of one address cause 4,000 of them a second."""
FRAME_RATE = Rate(per_s=200, burst=1_000, debt_limit=2_000)
BYTE_RATE = Rate(per_s=2 * 1024 * 1024, burst=8 * 1024 * 1024, debt_limit=8 * 1024 * 1024)


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """A listener's address and limits. Durations are in seconds, sizes in bytes.

    With ``unix_path`` the listener binds a Unix socket, and ``host``, ``port`` and ``reuse_port`` are not used.
    ``tls_handshake`` returns what a handshake costs now, in signature checks. ``origins`` lists the acceptable values
    of the header that browsers send, None standing for its absence; ``origins`` itself None accepts every origin.
    ``hosts`` lists the host names by which plain HTTP may ask, beside IP addresses and ``localhost``; None accepts
    every name. Peers in ``trusted_proxies`` may say whose connection they hand on. A ``..._rate``, a
    ``..._per_address`` or ``stranger_work`` of None means no such limit.
    """

    host: str | None = "127.0.0.1"
    port: int = 0
    unix_path: Path | None = None
    tls: ssl.SSLContext | None = None
    tls_handshake: Callable[[], float] = float
    reuse_port: bool = False
    backlog: int = ACCEPT_BACKLOG

    origins: tuple[str | None, ...] | None = (None,)
    hosts: frozenset[str] | None = None
    trusted_proxies: tuple[Network, ...] = ()

    handshake_deadline_s: float = HANDSHAKE_DEADLINE_S
    refusal_deadline_s: float = REFUSAL_DEADLINE_S
    auth_deadline_s: float = AUTH_DEADLINE_S
    keepalive_interval_s: float = KEEPALIVE_INTERVAL_S
    keepalive_timeout_s: float = KEEPALIVE_TIMEOUT_S
    close_timeout_s: float = CLOSE_TIMEOUT_S
    sweep_interval_s: float = SWEEP_INTERVAL_S

    max_head_bytes: int = MAX_HEAD_BYTES
    max_message_bytes: int = MAX_MESSAGE_BYTES
    unsent_limit_bytes: int = UNSENT_LIMIT_BYTES

    max_connections: int = MAX_CONNECTIONS
    max_unauthenticated: int = MAX_UNAUTHENTICATED
    max_unauthenticated_per_address: int | None = MAX_UNAUTHENTICATED_PER_ADDRESS
    max_per_address: int | None = MAX_PER_ADDRESS
    max_refusals_at_once: int = MAX_REFUSALS_AT_ONCE
    retry_after_s: int = RETRY_AFTER_S

    stranger_work: Rate | None = STRANGER_WORK
    frame_rate: Rate | None = FRAME_RATE
    byte_rate: Rate | None = BYTE_RATE

    def per_address(self, connections: int) -> "ListenerSettings":
        """Return these limits with so many authenticated connections from one address.

        With 0 nothing is limited by address.
        """
        if connections:
            return replace(self, max_per_address=connections)
        return replace(self, max_unauthenticated_per_address=None, max_per_address=None, stranger_work=None)
