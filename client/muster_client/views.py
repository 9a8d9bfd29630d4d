"""Snapshots of the agent and of its sessions: public status types, without secrets."""

from msgspec import Struct

from muster_client.events import MemberView, Target
from muster_protocol.cards import Mode
from muster_protocol.frames import SessionKind
from muster_protocol.ids import ClientId, Fingerprint, SessionId, TimeMs
from muster_protocol.reasons import Reason


class SessionView(Struct, frozen=True, kw_only=True):
    """A session that the agent holds the key of. ``targets``: the devices that this one called.

    ``created_at`` and ``ends_at`` are None where a member has not asked the hub for them.
    """

    id: SessionId
    creator: ClientId
    mode: Mode
    profile: str | None
    kind: SessionKind
    epoch: int
    created_at: TimeMs | None
    ends_at: TimeMs | None
    members: tuple[MemberView, ...]
    targets: tuple[Target, ...]


class Drop(Struct, frozen=True, kw_only=True):
    """The last time that the agent had no connection: lost, or not reached. Words as in ``Disconnected``."""

    at: TimeMs
    cause: str
    reason: Reason | None
    sentence: str


class AgentStatus(Struct, frozen=True, kw_only=True):
    """How the agent is.

    ``connected`` to ``hub_url`` or not, and since when; ``hub`` is None where no hub was ever reached.
    ``keep_alive_ms`` is how often the hub is pinged; ``keep_alive_learnt``: more often than usual, since something on
    the way cuts idle connections. ``unpublished`` counts the statements that the hub has not acknowledged.
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
