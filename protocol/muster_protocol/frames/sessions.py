"""Sessions and their members (SPEC.md section 8)."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from muster_protocol.cards import Mode
from muster_protocol.frames.envelope import (
    MAX_EPOCHS_SHOWN,
    MAX_MEMBERS,
    MAX_ROSTER,
    MAX_SESSION_MS,
    MAX_SESSIONS_LISTED,
    MAX_TARGETS,
    Count,
    Push,
    Reply,
    Request,
    Sealed,
    SessionKind,
)
from muster_protocol.governance import Profile
from muster_protocol.ids import ClientId, Seed, SessionId, TimeMs
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed


class MemberState(StrEnum):
    """Where a member stands: seated by the hub, joined by its own word, or out."""

    SEATED = "seated"
    JOINED = "joined"
    OUT = "out"


class CreateSession(Request, frozen=True, kw_only=True, tag="session.create"):
    """Make a session whose only member is its creator. ``epoch`` is number 1. Reply: ``ok``."""

    session: SessionId
    seed: Seed
    mode: Mode
    profile: Profile | None
    kind: SessionKind
    lasts_ms: Annotated[int, Meta(ge=1, le=MAX_SESSION_MS)]
    epoch: Signed


class SendJoined(Request, frozen=True, kw_only=True, tag="joined.send"):
    """Announce to all members that this device is in the epoch. Reply: ``ok``."""

    joined: Signed


class SendLeave(Request, frozen=True, kw_only=True, tag="leave.send"):
    """Leave a session. Reply: ``ok`` once the hub relays nothing more to or from this member."""

    leave: Signed


class CloseSession(Request, frozen=True, kw_only=True, tag="session.close"):
    """End a session; only its creator may. Reply: ``ok``."""

    session: SessionId


class GetSession(Request, frozen=True, kw_only=True, tag="session.get"):
    """Ask for a session that this device is or was a member of. Reply: ``session``."""

    session: SessionId
    after: Count
    """The number of the last epoch that the device has; those behind it are sent."""


class ListSessions(Request, frozen=True, kw_only=True, tag="session.list"):
    """Ask for the sessions that this device is in, in the order of their ids. Reply: ``sessions``."""

    after: SessionId | None = None
    """The last session of the page before; None asks for the first page."""


class ResumeSession(Request, frozen=True, kw_only=True, tag="session.resume"):
    """This member's process is new and holds no key: the creator is asked to admit it again. Reply: ``ok``."""

    session: SessionId


class Member(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A member as the hub knows it."""

    client: ClientId
    state: MemberState
    since: TimeMs
    reason: Reason | None


class Departure(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The statement by which a member went: its ``leave``, its ``untrust`` of one whom it must trust, or its card.

    The card has a longer chain of keys than the one under which it was a member.
    """

    client: ClientId
    kind: Kind
    statement: Signed


class SessionReply(Reply, frozen=True, kw_only=True, tag="session"):
    """A session. ``sealed`` is the key of the newest epoch for the asker; ``admission`` is its own, until it joined."""

    session: SessionId
    creator: ClientId
    mode: Mode
    profile: Profile | None
    kind: SessionKind
    open: bool
    created_at: TimeMs
    ends_at: TimeMs
    epoch: Count
    members: Annotated[tuple[Member, ...], Meta(max_length=MAX_ROSTER)]
    epochs: Annotated[tuple[Signed, ...], Meta(max_length=MAX_EPOCHS_SHOWN)]
    joined: Annotated[tuple[Signed, ...], Meta(max_length=MAX_MEMBERS)]
    """The newest ``joined`` of each member that said one."""
    departures: Annotated[tuple[Departure, ...], Meta(max_length=MAX_TARGETS)]
    """For the creator: what members of the newest epoch that are out said of it."""
    sealed: Sealed | None
    admission: Signed | None


class SessionSummary(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One line of a list of sessions."""

    session: SessionId
    creator: ClientId
    mode: Mode
    profile: Profile | None
    open: bool
    created_at: TimeMs
    ends_at: TimeMs
    members: Annotated[tuple[ClientId, ...], Meta(max_length=MAX_MEMBERS)]


class SessionsReply(Reply, frozen=True, kw_only=True, tag="sessions"):
    """A page of the sessions that a device is in; ask again from the last one while ``more``."""

    sessions: Annotated[tuple[SessionSummary, ...], Meta(max_length=MAX_SESSIONS_LISTED)]
    more: bool


class EpochPush(Push, frozen=True, kw_only=True, tag="epoch"):
    """A new epoch, with its key sealed to this member."""

    session: SessionId
    epoch: Signed
    sealed: Sealed


class JoinedPush(Push, frozen=True, kw_only=True, tag="joined"):
    """A member joined: it holds the key of an epoch."""

    joined: Signed


class LeavePush(Push, frozen=True, kw_only=True, tag="leave"):
    """A member left, by its own signed word."""

    leave: Signed


UpdateState = Annotated[str, Meta(pattern=r"\A(seated|joined|out|closed|resume|changed)\Z")]
"""A member's state, or what becomes of the session; msgspec reads no union of an enumeration and words."""


class SessionUpdatePush(Push, frozen=True, kw_only=True, tag="session.update"):
    """The hub's word on a session: closed (``client`` None), a member out with a reason, or one to be admitted again.

    ``changed`` (``client`` None): pushes about it may have been lost, and the device reads it again.
    """

    session: SessionId
    client: ClientId | None
    state: UpdateState
    reason: Reason | None
