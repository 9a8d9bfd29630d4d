"""Live pushes about a session. They may be lost: a device that was offline reads the session again."""

from collections.abc import Mapping

from muster_hub.context import NodeContext
from muster_hub.delivery.live import tell
from muster_hub.sessions.state import RosterMember
from muster_protocol.frames import MemberState, SessionUpdatePush, UpdateState
from muster_protocol.ids import ClientId, SessionId
from muster_protocol.reasons import Reason


async def push_member_out(
    context: NodeContext,
    session: SessionId,
    client: ClientId,
    reason: Reason | None,
    members: Mapping[ClientId, RosterMember],
) -> None:
    """Push to the members, and to the device itself, that a device is out of the session."""
    frame = update(session, client, MemberState.OUT, reason)
    await tell(context, [client, *(row.client for row in members.values() if row.present)], frame)


def update(
    session: SessionId,
    client: ClientId | None,
    state: UpdateState,
    reason: Reason | None = None,
) -> SessionUpdatePush:
    """Return the push with which the hub reports a change of a session."""
    return SessionUpdatePush(session=session, client=client, state=state, reason=reason)
