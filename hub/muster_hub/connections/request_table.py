"""Every request of the protocol, and the use case that serves it.

A request of a connection whose place another one took, or whose key was rotated since, is refused as ``superseded``. A
use case that changes something judges that itself, in the step that changes it; the others are ``fenced`` here.
"""

from muster_hub.connections.continuity import confirm_token
from muster_hub.connections.dispatch import UseCase
from muster_hub.context import NodeContext
from muster_hub.delivery import inbox
from muster_hub.enrolment.codes import make_invitation
from muster_hub.governance.cards import get_card
from muster_hub.governance.statements import list_statements, put_statement
from muster_hub.governance.suspicion import clear_suspicion
from muster_hub.presence.registry import check_current
from muster_hub.presence.watches import PresenceWatches
from muster_hub.routing.caller import Caller
from muster_hub.sessions import lifecycle, membership, views
from muster_hub.sessions.answers import send_answer
from muster_hub.sessions.dry_run import why
from muster_hub.sessions.invites import cancel_invite, send_invites
from muster_hub.sessions.joins import admit
from muster_protocol.frames import (
    Ack,
    Admit,
    CancelInvite,
    ClearSuspicion,
    CloseSession,
    ConfirmToken,
    CreateSession,
    GetCard,
    GetSession,
    ListSessions,
    ListStatements,
    MakeCode,
    PutStatement,
    Reply,
    Request,
    ResumeSession,
    SendAnswer,
    SendInvites,
    SendJoined,
    SendLeave,
    Watch,
    Who,
    Why,
)


def use_cases(watching: PresenceWatches) -> dict[type[Request], UseCase]:
    """Return the table; ``watch`` is kept by the node that the connection is on."""
    return {
        PutStatement: put_statement,
        ListStatements: fenced(list_statements),
        GetCard: fenced(get_card),
        ClearSuspicion: clear_suspicion,
        ConfirmToken: confirm_token,
        MakeCode: fenced(make_invitation),
        Who: watching.who,
        Watch: watching.watch,
        Why: fenced(why),
        CreateSession: lifecycle.create_session,
        GetSession: fenced(views.get_session),
        ListSessions: fenced(views.list_sessions),
        SendJoined: membership.send_joined,
        SendLeave: membership.send_leave,
        CloseSession: lifecycle.close_session,
        ResumeSession: membership.resume_session,
        SendInvites: send_invites,
        CancelInvite: cancel_invite,
        SendAnswer: send_answer,
        Admit: admit,
        Ack: inbox.ack,
    }


def fenced(use_case: UseCase) -> UseCase:
    """Return a use case that only reads, behind the check that the caller's connection is current."""

    async def serve(context: NodeContext, caller: Caller, request: Request) -> Reply:
        await check_current(context.store, caller)
        return await use_case(context, caller, request)

    return serve
