"""The library's errors as lines of the control socket, and back: the client raises what the agent raised."""

from collections.abc import Callable
from typing import Any

from muster_client.control.messages import (
    AnyLine,
    ControlLine,
    FailedLine,
    InvalidLine,
    NotCreated,
    NotTrustedLine,
    RefusedLine,
    UnknownInviteLine,
    UnknownSessionLine,
    UnreachableLine,
)
from muster_client.errors import (
    ControlFailed,
    HubBusy,
    HubRefused,
    InvalidRequest,
    NoReply,
    NotTrusted,
    SessionRefused,
    UnknownInvite,
    UnknownSession,
    no_reply,
)
from muster_protocol.errors import MusterError

_TO_LINE: dict[type[MusterError], Callable[[Any], AnyLine]] = {
    NotTrusted: lambda error: NotTrustedLine(obstacles=error.obstacles),
    InvalidRequest: lambda error: InvalidLine(reason=error.reason, detail=error.detail, peer=error.peer),
    SessionRefused: lambda error: NotCreated(reason=error.reason, sayer=error.sayer, detail=error.detail),
    HubRefused: lambda error: RefusedLine(reason=error.reason, detail=error.detail),
    HubBusy: lambda error: RefusedLine(reason=error.reason, detail=error.detail),
    NoReply: lambda error: UnreachableLine(sentence=str(error), trouble=error.trouble),
    UnknownSession: lambda error: UnknownSessionLine(session=error.session),
    UnknownInvite: lambda error: UnknownInviteLine(sentence=str(error)),
}

_TO_ERROR: dict[type[ControlLine], Callable[[Any], MusterError]] = {
    NotTrustedLine: lambda line: NotTrusted(line.obstacles),
    InvalidLine: lambda line: InvalidRequest(line.reason, line.detail, line.peer),
    NotCreated: lambda line: SessionRefused(line.reason, line.sayer, line.detail),
    RefusedLine: lambda line: HubRefused(line.reason, line.detail),
    UnreachableLine: lambda line: no_reply(line.sentence, line.trouble),
    UnknownSessionLine: lambda line: UnknownSession(line.session),
    UnknownInviteLine: lambda line: UnknownInvite(line.sentence),
    FailedLine: lambda line: ControlFailed(line.sentence),
}


def as_line(error: MusterError) -> AnyLine:
    """Return the line for an error."""
    for kind in type(error).__mro__:
        if kind in _TO_LINE:
            return _TO_LINE[kind](error)
    return FailedLine(sentence=str(error))


def as_error(line: AnyLine) -> MusterError:
    """Return the error for a line, also for an unexpected one."""
    make = _TO_ERROR.get(type(line))
    return make(line) if make is not None else ControlFailed("the agent answered with something else")
