"""The messages of the local control socket: JSON lines, each a request, a result or an update."""

from msgspec import Struct

from muster_client.device.session_request import SessionRequest
from muster_client.errors import Obstacle, Trouble
from muster_client.events import InboxEntry, Target
from muster_client.views import AgentStatus, SessionView
from muster_protocol.ids import ClientId, SessionId
from muster_protocol.reasons import Reason, Sayer

MAX_LINE_BYTES = 256 * 1024


# -- requests ---------------------------------------------------------------------------------------------------------


class ControlRequest(Struct, frozen=True, kw_only=True, tag_field="ask"):
    """Any request."""


class StartRequest(ControlRequest, frozen=True, kw_only=True, tag="start"):
    """Create this session and call its targets; the answer is a stream of ``StartUpdate`` lines."""

    session: SessionRequest


class GoAhead(ControlRequest, frozen=True, kw_only=True, tag="go_ahead"):
    """The second line of a start: the client has taken ``Started``, and the agent may send the invites."""


class AskStatus(ControlRequest, frozen=True, kw_only=True, tag="status"):
    """Ask for the state of the agent."""


class AskSessions(ControlRequest, frozen=True, kw_only=True, tag="sessions"):
    """Ask for the sessions that the agent holds."""


class AskInbox(ControlRequest, frozen=True, kw_only=True, tag="inbox"):
    """Ask for the invites that wait for the person."""


class Notify(ControlRequest, frozen=True, kw_only=True, tag="notify"):
    """Have the agent publish new statements."""


class Cancel(ControlRequest, frozen=True, kw_only=True, tag="cancel"):
    """Withdraw a session's open invites."""

    session: SessionId


class LeaveSession(ControlRequest, frozen=True, kw_only=True, tag="leave"):
    """Leave a session."""

    session: SessionId


class EndSession(ControlRequest, frozen=True, kw_only=True, tag="close"):
    """End a session of this device."""

    session: SessionId


class Accept(ControlRequest, frozen=True, kw_only=True, tag="accept"):
    """Accept an invite; ``invite`` is this device's number for it, or its id in hex."""

    invite: str


class Decline(ControlRequest, frozen=True, kw_only=True, tag="decline"):
    """Decline an invite."""

    invite: str


AnyRequest = (
    StartRequest | AskStatus | AskSessions | AskInbox | Notify | Cancel | LeaveSession | EndSession | Accept | Decline
)


# -- results ----------------------------------------------------------------------------------------------------------


class ControlLine(Struct, frozen=True, kw_only=True, tag_field="is"):
    """Any line that the agent sends."""


class Done(ControlLine, frozen=True, kw_only=True, tag="done"):
    """The request was carried out."""


class StatusIs(ControlLine, frozen=True, kw_only=True, tag="status"):
    """The state of the agent."""

    status: AgentStatus


class SessionsAre(ControlLine, frozen=True, kw_only=True, tag="sessions"):
    """The sessions."""

    sessions: tuple[SessionView, ...]


class InboxIs(ControlLine, frozen=True, kw_only=True, tag="inbox"):
    """The invites that wait, or the one that was answered."""

    invites: tuple[InboxEntry, ...]


class Started(ControlLine, frozen=True, kw_only=True, tag="started"):
    """The first line of a start: the session exists."""

    session: SessionView


class TargetUpdate(ControlLine, frozen=True, kw_only=True, tag="target"):
    """The state of a called device changed."""

    target: Target


class Blocking(ControlLine, frozen=True, kw_only=True, tag="blocking"):
    """The members for which the hub commits no epoch, so that no called device is admitted; none: it goes on."""

    members: tuple[ClientId, ...]


class Settled(ControlLine, frozen=True, kw_only=True, tag="settled"):
    """The last line of a start: every target joined or refused, or the session ended."""

    session: SessionView


class NotTrustedLine(ControlLine, frozen=True, kw_only=True, tag="not_trusted"):
    """``NotTrusted``: no session was created, as these peers cannot be called."""

    obstacles: tuple[Obstacle, ...]


class InvalidLine(ControlLine, frozen=True, kw_only=True, tag="invalid"):
    """``InvalidRequest``: no session was created, as the request is invalid."""

    reason: Reason
    detail: str
    peer: ClientId | None


class NotCreated(ControlLine, frozen=True, kw_only=True, tag="not_created"):
    """``SessionRefused``: no session was created."""

    reason: Reason
    sayer: Sayer
    detail: str


class RefusedLine(ControlLine, frozen=True, kw_only=True, tag="refused"):
    """The hub refused."""

    reason: Reason
    detail: str


class UnreachableLine(ControlLine, frozen=True, kw_only=True, tag="unreachable"):
    """The hub could not be reached."""

    sentence: str
    trouble: Trouble = Trouble.HUB_UNREACHABLE


class UnknownSessionLine(ControlLine, frozen=True, kw_only=True, tag="unknown_session"):
    """The agent is in no such session, or this device did not create it."""

    session: SessionId


class UnknownInviteLine(ControlLine, frozen=True, kw_only=True, tag="unknown_invite"):
    """No open invite has this number or id."""

    sentence: str


class FailedLine(ControlLine, frozen=True, kw_only=True, tag="failed"):
    """An error that has no type of its own."""

    sentence: str


StartUpdate = Started | TargetUpdate | Blocking | Settled
"""One line in the answer to ``ControlClient.start``."""

AnyLine = (
    Done
    | StatusIs
    | SessionsAre
    | InboxIs
    | Started
    | TargetUpdate
    | Blocking
    | Settled
    | NotTrustedLine
    | InvalidLine
    | NotCreated
    | RefusedLine
    | UnreachableLine
    | UnknownSessionLine
    | UnknownInviteLine
    | FailedLine
)
