"""What a listener binds to and the limits that it keeps."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from muster_hub.listener.rate_limit import Rate

HANDSHAKE_DEADLINE_S = 10.0
"""From the accepted socket to the complete HTTP request; also the longest TLS handshake."""

REFUSAL_DEADLINE_S = 2.0
"""The same for a socket beyond a limit: its place is needed to answer others, health checks among them."""

AUTH_DEADLINE_S = 10.0
"""From the upgrade to ``SocketPeer.authenticated``."""

KEEPALIVE_INTERVAL_S = 20.0
"""Silence after which a peer is asked for a sign of life; up to a quarter less, so that pings spread."""

KEEPALIVE_TIMEOUT_S = 20.0
"""Silence after that ping which counts as a loss."""

CLOSE_TIMEOUT_S = 5.0
"""What a peer has to finish the closing handshake, or to read what is left, before the socket is reset."""

SWEEP_INTERVAL_S = 1.0
"""How often deadlines are looked at, and so how exact they are."""

MAX_MESSAGE_BYTES = 64 * 1024
"""One message, all fragments together (SPEC.md, transport)."""

MAX_HEAD_BYTES = 32 * 1024
"""One HTTP request head: 128 lines of 8 KiB, which the parser would take, is too much from a stranger."""

OUTBOX_LIMIT_BYTES = 1024 * 1024
"""What may wait in memory for one peer that does not read."""

MAX_CONNECTIONS = 20_000
MAX_UNAUTHENTICATED = 2_000
MAX_UNAUTHENTICATED_PER_ADDRESS = 200
MAX_REFUSALS_AT_ONCE = 200
"""Sockets beyond a limit that are still kept until their request can be answered with 503; others are reset."""

RETRY_AFTER_S = 5
"""What a 503 asks for."""

ACCEPT_BACKLOG = 1024

STRANGER_FRAME_RATE = Rate(per_s=10, burst=100, debt_limit=100)
"""Before the authentication, which takes one message; each frame costs the hub time, that of a stranger too."""
FRAME_RATE = Rate(per_s=200, burst=1_000, debt_limit=2_000)
BYTE_RATE = Rate(per_s=2 * 1024 * 1024, burst=8 * 1024 * 1024, debt_limit=8 * 1024 * 1024)


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """Where to listen, and the limits. Durations are in seconds, sizes in bytes.

    With ``unix_path`` the listener binds a Unix socket, and ``host``, ``port`` and ``reuse_port`` are not used.
    ``origins`` lists the acceptable values of the header that browsers send, None standing for its absence; ``origins``
    itself None accepts every origin. A ``..._rate`` or ``max_unauthenticated_per_address`` of None
    means no such limit; the last belongs off where a proxy on another machine makes everybody look alike.
    """

    host: str | None = "127.0.0.1"
    port: int = 0
    unix_path: Path | None = None
    tls: ssl.SSLContext | None = None
    reuse_port: bool = False
    backlog: int = ACCEPT_BACKLOG

    origins: tuple[str | None, ...] | None = (None,)

    handshake_deadline_s: float = HANDSHAKE_DEADLINE_S
    refusal_deadline_s: float = REFUSAL_DEADLINE_S
    auth_deadline_s: float = AUTH_DEADLINE_S
    keepalive_interval_s: float = KEEPALIVE_INTERVAL_S
    keepalive_timeout_s: float = KEEPALIVE_TIMEOUT_S
    close_timeout_s: float = CLOSE_TIMEOUT_S
    sweep_interval_s: float = SWEEP_INTERVAL_S

    max_head_bytes: int = MAX_HEAD_BYTES
    max_message_bytes: int = MAX_MESSAGE_BYTES
    outbox_limit_bytes: int = OUTBOX_LIMIT_BYTES

    max_connections: int = MAX_CONNECTIONS
    max_unauthenticated: int = MAX_UNAUTHENTICATED
    max_unauthenticated_per_address: int | None = MAX_UNAUTHENTICATED_PER_ADDRESS
    max_refusals_at_once: int = MAX_REFUSALS_AT_ONCE
    retry_after_s: int = RETRY_AFTER_S

    stranger_frame_rate: Rate | None = STRANGER_FRAME_RATE
    frame_rate: Rate | None = FRAME_RATE
    byte_rate: Rate | None = BYTE_RATE
