"""Who is online (SPEC.md section 5)."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from muster_protocol.frames.envelope import MAX_WATCHED, Push, Reply, Request
from muster_protocol.ids import ClientId, TimeMs


class PresenceState(StrEnum):
    """What the hub says of a device. ``hidden``: that device does not trust the asker, or there is none."""

    ONLINE = "online"
    OFFLINE = "offline"
    UNKNOWN = "unknown"
    HIDDEN = "hidden"


class DropCause(StrEnum):
    """Why a device's last connection ended."""

    CLOSED = "closed"
    TIMEOUT = "timeout"
    NODE_LOST = "node_lost"
    REVOKED = "revoked"
    SUPERSEDED = "superseded"


class Who(Request, frozen=True, kw_only=True, tag="who"):
    """Ask who of these is online. Reply: ``presence``."""

    clients: Annotated[tuple[ClientId, ...], Meta(max_length=MAX_WATCHED)]


class Watch(Request, frozen=True, kw_only=True, tag="watch"):
    """Ask, and be told of changes from now on; each ``watch`` replaces the one before. Reply: ``presence``."""

    clients: Annotated[tuple[ClientId, ...], Meta(max_length=MAX_WATCHED)]


class Presence(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One device: its state, since when, and why it went."""

    client: ClientId
    state: PresenceState
    since: TimeMs | None
    cause: DropCause | None


class PresenceReply(Reply, frozen=True, kw_only=True, tag="presence"):
    """One entry for each device asked about, in the order asked."""

    devices: Annotated[tuple[Presence, ...], Meta(max_length=MAX_WATCHED)]


class PresencePush(Push, frozen=True, kw_only=True, tag="presence.update"):
    """Watched devices that changed; at most one such message a second."""

    devices: Annotated[tuple[Presence, ...], Meta(max_length=MAX_WATCHED)]
