"""Snapshots of the agent, its sessions and its peers, without secrets."""

from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct

from muster_client.events import MemberView, Target
from muster_protocol.cards import Mode
from muster_protocol.frames import SessionKind
from muster_protocol.ids import ClientId, Fingerprint, GrantId, Serial, SessionId, TimeMs
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.serials import Version

__all__ = ["AgentStatus", "Drop", "EndedElsewhere", "GrantState", "GrantView", "Peer", "SessionView", "Unconfirmed"]


class SessionView(Struct, frozen=True, kw_only=True):
    """A session whose key the agent holds. ``targets``: the devices that this one called.

    ``created_at`` is None in a session of another device: only the hub says it. ``ends_at`` is when this device ends
    the session by its own clock; the hub may end one of another device sooner.
    """

    id: SessionId
    creator: ClientId
    mode: Mode
    profile: str | None
    kind: SessionKind
    epoch: int
    created_at: TimeMs | None
    ends_at: TimeMs
    members: tuple[MemberView, ...]
    targets: tuple[Target, ...]


class Drop(Struct, frozen=True, kw_only=True):
    """The last time that the agent had no connection. The fields are those of ``Disconnected``."""

    at: TimeMs
    cause: str
    reason: Reason | None
    sentence: str


class AgentStatus(Struct, frozen=True, kw_only=True):
    """The state of the agent.

    ``connected``: to ``hub_url``; ``hub`` is None if no hub was ever reached. ``keep_alive_ms`` is how often the hub is
    pinged; ``keep_alive_learnt``: more often than usual, since something on the way cuts idle connections.
    ``unpublished`` counts the statements that the hub has not acknowledged.
    """

    client: ClientId
    pid: int
    hub_url: str
    hub: Fingerprint | None
    connected: bool
    connected_since: TimeMs | None
    standing: Reason | None
    sessions: int
    inbox: int
    unpublished: int
    keep_alive_ms: int
    keep_alive_learnt: bool
    last_drop: Drop | None


class GrantState(StrEnum):
    """The state of a grant, by this device's clock."""

    LIVE = "live"
    NOT_YET = "not_yet"
    EXPIRED = "expired"
    USED = "used"
    LAPSED = "lapsed"
    """Its peer has another key now, or is no longer trusted."""


@dataclass(frozen=True, slots=True)
class GrantView:
    """The newest grant that this device gave to a peer. ``profiles`` None: all. ``once``: for one join only."""

    id: GrantId
    serial: Serial
    mode: Mode
    profiles: tuple[str, ...] | None
    once: bool
    not_before: TimeMs
    expires_at: TimeMs
    state: GrantState


@dataclass(frozen=True, slots=True)
class Peer:
    """Another device. ``fingerprint`` is its pinned key, None if it is no longer ``trusted``."""

    client: ClientId
    nickname: str | None
    fingerprint: Fingerprint | None
    trusted: bool
    added_ms: TimeMs
    grant: GrantView | None
    published: bool
    """The hub has acknowledged the newest trust, untrust and grant about this peer."""

    @property
    def name(self) -> str:
        """The nickname, or else the first 8 characters of its ClientId."""
        return self.nickname or self.client[:8]


@dataclass(frozen=True, slots=True)
class EndedElsewhere:
    """An end of trust or of a grant, under this device's key, that a copy of this device's data made.

    ``kind``: ``untrust``, which ends the grant too, or ``revocation``. ``version`` names this one statement.
    """

    peer: ClientId
    kind: Kind
    version: Version


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """Trust or a grant that a copy of this device's data made, until the person decides on it.

    ``mode``, ``profiles`` and ``expires_at`` are those of a grant. ``seen_at`` is when the hub first showed it to this
    device. ``version`` names this one statement among those on the same topic. ``listed``: it was shown to the person,
    as it is now.
    """

    peer: ClientId
    kind: Kind
    fingerprint: Fingerprint
    mode: Mode | None
    profiles: tuple[str, ...] | None
    expires_at: TimeMs | None
    seen_at: TimeMs
    version: Version
    listed: bool
