"""The four messages of a join as the hub carries them, and the dry run (SPEC.md sections 6 and 7)."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from muster_protocol.cards import Mode
from muster_protocol.frames.envelope import MAX_MEMBERS, MAX_NAMED, MAX_TARGETS, Purpose, Push, Reply, Request, Sealed
from muster_protocol.governance import Profile
from muster_protocol.ids import ClientId, InviteId, SessionId
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed


class Why(Request, frozen=True, kw_only=True, tag="why"):
    """Ask whether ``creator`` could call ``target``; the asker is one of the two. Reply: ``decision``."""

    creator: ClientId
    target: ClientId
    mode: Mode
    profile: Profile | None
    purpose: Purpose


class Check(StrEnum):
    """The checks of the decision, in their order. A call that fails at one learns nothing of those behind it."""

    REQUEST = "request"
    CREATOR_STANDING = "creator_standing"
    TRUST = "trust"
    KEYS = "keys"
    MESH = "mesh"
    TARGET_STANDING = "target_standing"
    CREATOR_GRANT = "creator_grant"
    TARGET_GRANT = "target_grant"
    PROTOCOL = "protocol"
    APP = "app"
    MODE = "mode"
    PRESENCE = "presence"


class TraceStep(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One check of the decision: passed, failed, or (None) not reached or not knowable to the decider."""

    check: Check
    passed: bool | None


class DecisionReply(Reply, frozen=True, kw_only=True, tag="decision"):
    """What the hub would answer to an invite now; ``reason`` None is yes."""

    reason: Reason | None
    trace: Annotated[tuple[TraceStep, ...], Meta(max_length=len(Check))]


class SendInvites(Request, frozen=True, kw_only=True, tag="invite.send"):
    """Call devices in: one signed invite for each. Reply: ``invites``."""

    session: SessionId
    invites: Annotated[tuple[Signed, ...], Meta(max_length=MAX_NAMED)]


class InviteResult(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The result of one invite. ``reason`` None: it waits for the agent of the called device."""

    client: ClientId
    reason: Reason | None


class InviteResults(Reply, frozen=True, kw_only=True, tag="invites"):
    """One result for each invite, in the order sent."""

    results: Annotated[tuple[InviteResult, ...], Meta(max_length=MAX_NAMED)]


class CancelInvite(Request, frozen=True, kw_only=True, tag="invite.cancel"):
    """Withdraw an invite that has not led to a seat. Reply: ``ok``."""

    session: SessionId
    client: ClientId
    invite: InviteId


class SendAnswer(Request, frozen=True, kw_only=True, tag="answer.send"):
    """Answer an invite. Reply: ``ok`` once it waits for the creator."""

    answer: Signed


class SealedFor(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The epoch's key sealed to one member."""

    client: ClientId
    sealed: Sealed


class Admit(Request, frozen=True, kw_only=True, tag="admit"):
    """Commit an epoch and the joins in it. ``sealed`` is for those who are members already. Reply: ``admitted``."""

    session: SessionId
    epoch: Signed
    sealed: Annotated[tuple[SealedFor, ...], Meta(max_length=MAX_MEMBERS)]
    admissions: Annotated[tuple[Signed, ...], Meta(max_length=MAX_TARGETS)]


class Admitted(Reply, frozen=True, kw_only=True, tag="admitted"):
    """Empty ``rejected``: committed. Else nothing was, and these stand in the way."""

    rejected: Annotated[tuple[InviteResult, ...], Meta(max_length=MAX_NAMED)]


class InvitePush(Push, frozen=True, kw_only=True, tag="invite"):
    """A device calls this one into its session."""

    invite: Signed


class InviteUpdatePush(Push, frozen=True, kw_only=True, tag="invite.update"):
    """An invite ended before its seat, by the hub's word: told to the target when withdrawn, else to the creator."""

    session: SessionId
    client: ClientId
    invite: InviteId
    reason: Reason


class AnswerPush(Push, frozen=True, kw_only=True, tag="answer"):
    """A called device answered."""

    answer: Signed


class AdmissionPush(Push, frozen=True, kw_only=True, tag="admission"):
    """The seat is committed; here is the key."""

    admission: Signed
