"""Live pushes to the members of a session. Nothing here must arrive: a device that was away asks for the session."""

from collections.abc import Mapping

from muster_hub.context import NodeContext
from muster_hub.delivery.live import tell
from muster_hub.sessions.state import RosterMember
from muster_protocol.frames import MemberState, SessionUpdatePush, UpdateState
from muster_protocol.ids import ClientId, SessionId
from muster_protocol.reasons import Reason


async def tell_out(
    context: NodeContext,
    session: SessionId,
    client: ClientId,
    reason: Reason | None,
    members: Mapping[ClientId, RosterMember],
) -> None:
    """Tell the members, and the one who is out, that it is."""
    frame = update(session, client, MemberState.OUT, reason)
    await tell(context, [client, *(row.client for row in members.values() if row.present)], frame)


def update(
    session: SessionId,
    client: ClientId | None,
    state: UpdateState,
    reason: Reason | None = None,
) -> SessionUpdatePush:
    """Give the hub's word on a session."""
    return SessionUpdatePush(session=session, client=client, state=state, reason=reason)
