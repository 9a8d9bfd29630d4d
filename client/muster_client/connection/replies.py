"""Whether a reply is about what was asked: a hub may reply with anything that a reply can hold."""

from muster_protocol.frames import (
    GetSession,
    InviteResults,
    ListSessions,
    PresenceReply,
    Reply,
    Request,
    SendInvites,
    SessionReply,
    SessionsReply,
    Watch,
    Who,
)


def is_about(answer: Reply, request: Request) -> bool:
    """Return whether a reply names what was asked for and no more, where that shows."""
    match answer, request:
        case SessionReply(), GetSession():
            return answer.session == request.session
        case PresenceReply(), Who() | Watch():
            return tuple(device.client for device in answer.devices) == request.clients
        case InviteResults(), SendInvites():
            return len(answer.results) == len(request.invites)
        case SessionsReply(), ListSessions():
            listed = [one.session for one in answer.sessions]
            before = "" if request.after is None else request.after
            return all(one < other for one, other in zip([before, *listed], listed, strict=False))
        case _:
            return True
