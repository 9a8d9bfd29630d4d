"""The messages between a device and its hub: open maps with a type tag ``t`` (SPEC.md section 3).

Unknown fields are ignored, unknown types are refused. A request carries ``id`` and gets exactly one reply with ``re``.
A push is unasked; one that carries ``push`` waits at the hub until the device acknowledges it.
"""

from collections.abc import Mapping
from functools import reduce
from operator import or_

import msgspec

from muster_protocol.codec import convert, decode_exact, encode, unpack
from muster_protocol.errors import Refused
from muster_protocol.frames.enrolment import CodeReply, MakeCode
from muster_protocol.frames.envelope import (
    MAX_EPOCHS_SHOWN,
    MAX_MEMBERS,
    MAX_NAMED,
    MAX_PAGE,
    MAX_ROSTER,
    MAX_SESSION_MS,
    MAX_SESSIONS_LISTED,
    MAX_TARGETS,
    MAX_WAITING,
    MAX_WATCHED,
    Ack,
    Count,
    Error,
    Frame,
    Ok,
    Purpose,
    Push,
    PushId,
    Reply,
    Request,
    Sealed,
    SessionKind,
)
from muster_protocol.frames.invites import (
    AdmissionPush,
    Admit,
    Admitted,
    AnswerPush,
    CancelInvite,
    Check,
    DecisionReply,
    InvitePush,
    InviteResult,
    InviteResults,
    InviteUpdatePush,
    SealedFor,
    SendAnswer,
    SendInvites,
    TraceStep,
    Why,
)
from muster_protocol.frames.opening import (
    Challenge,
    Goaway,
    HelloFrame,
    RefusedFrame,
    WelcomeFrame,
)
from muster_protocol.frames.presence import (
    DropCause,
    Presence,
    PresencePush,
    PresenceReply,
    PresenceState,
    Watch,
    Who,
)
from muster_protocol.frames.sessions import (
    CloseSession,
    CreateSession,
    Departure,
    EpochPush,
    GetSession,
    JoinedPush,
    LeavePush,
    ListSessions,
    Member,
    MemberState,
    ResumeSession,
    SendJoined,
    SendLeave,
    SessionReply,
    SessionsReply,
    SessionSummary,
    SessionUpdatePush,
    UpdateState,
)
from muster_protocol.frames.statements import (
    CardReply,
    ClearSuspicion,
    ConfirmToken,
    GetCard,
    KindAndStatement,
    ListStatements,
    PutStatement,
    StatementPush,
    Statements,
)
from muster_protocol.ids import MAX_TIME_MS
from muster_protocol.reasons import Reason

__all__ = [
    "AGENT_REQUESTS",
    "FRAMES",
    "MAX_EPOCHS_SHOWN",
    "MAX_MEMBERS",
    "MAX_NAMED",
    "MAX_PAGE",
    "MAX_ROSTER",
    "MAX_SESSIONS_LISTED",
    "MAX_SESSION_MS",
    "MAX_TARGETS",
    "MAX_WAITING",
    "MAX_WATCHED",
    "Ack",
    "AdmissionPush",
    "Admit",
    "Admitted",
    "AnswerPush",
    "CancelInvite",
    "CardReply",
    "Challenge",
    "Check",
    "ClearSuspicion",
    "CloseSession",
    "CodeReply",
    "ConfirmToken",
    "Count",
    "CreateSession",
    "DecisionReply",
    "Departure",
    "DropCause",
    "EpochPush",
    "Error",
    "Frame",
    "FrameRefused",
    "GetCard",
    "GetSession",
    "Goaway",
    "HelloFrame",
    "InvitePush",
    "InviteResult",
    "InviteResults",
    "InviteUpdatePush",
    "JoinedPush",
    "KindAndStatement",
    "LeavePush",
    "ListSessions",
    "ListStatements",
    "MakeCode",
    "Member",
    "MemberState",
    "Ok",
    "Presence",
    "PresencePush",
    "PresenceReply",
    "PresenceState",
    "Purpose",
    "Push",
    "PushId",
    "PutStatement",
    "RefusedFrame",
    "Reply",
    "Request",
    "ResumeSession",
    "Sealed",
    "SealedFor",
    "SendAnswer",
    "SendInvites",
    "SendJoined",
    "SendLeave",
    "SessionKind",
    "SessionReply",
    "SessionSummary",
    "SessionUpdatePush",
    "SessionsReply",
    "StatementPush",
    "Statements",
    "TraceStep",
    "UpdateState",
    "Watch",
    "WelcomeFrame",
    "Who",
    "Why",
    "decode_frame",
    "encode_frame",
]


def _tags(base: type[Frame]) -> dict[str, type[Frame]]:
    found: dict[str, type[Frame]] = {}
    for cls in base.__subclasses__():
        tag = cls.__struct_config__.tag
        if isinstance(tag, str) and not cls.__subclasses__():
            found[tag] = cls
        found |= _tags(cls)
    return found


FRAMES: dict[str, type[Frame]] = _tags(Frame)
"""Every message type by its tag."""

AGENT_REQUESTS: frozenset[type[Request]] = frozenset(
    {
        Ack,
        ConfirmToken,
        CreateSession,
        SendInvites,
        CancelInvite,
        SendAnswer,
        Admit,
        SendJoined,
        SendLeave,
        CloseSession,
        ResumeSession,
    }
)
"""The requests that the process with the agent seat alone may make: it alone holds keys and gets pushes."""

_any_frame: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(reduce(or_, FRAMES.values()))


class FrameRefused(Refused):
    """A map that is no message of this version: its type is unknown, or a field is wrong."""

    def __init__(self, refused: Refused, fields: Mapping[object, object]) -> None:
        super().__init__(refused.reason, refused.detail)
        self._fields = fields

    def number(self, field: str) -> int:
        """Return the request's number that ``id`` or ``re`` holds; 0 where it is no number of a request."""
        number = self._fields.get(field)
        return number if type(number) is int and 0 < number <= MAX_TIME_MS else 0


def encode_frame(frame: Frame) -> bytes:
    """Return the bytes of one WebSocket message."""
    return encode(frame)


def decode_frame(data: bytes) -> Frame:
    """Decode one WebSocket message.

    Raises ``Refused``: ``too_large``, ``malformed``, or ``unsupported`` for a type that this version does not know;
    a ``FrameRefused`` where the number of the request can be read nevertheless.
    """
    exact = decode_exact(data, _any_frame)
    if exact is not None:
        return exact
    value = unpack(data)
    if not isinstance(value, dict):
        raise Refused(Reason.MALFORMED, "a message is a map")
    try:
        return _read(value)
    except Refused as refused:
        raise FrameRefused(refused, value) from None


def _read(fields: Mapping[object, object]) -> Frame:
    tag = fields.get("t")
    if not isinstance(tag, str):
        raise Refused(Reason.MALFORMED, "a message has a type, t")
    frame = FRAMES.get(tag)
    if frame is None:
        raise Refused(Reason.UNSUPPORTED, "message type")
    return convert(fields, frame)
