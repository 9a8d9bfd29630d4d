"""Live pushes to the members of a session. Nothing here must arrive: a device that was away asks for the session."""

from collections.abc import Iterable, Mapping

import structlog

from muster_hub.context import Hub
from muster_hub.roster import Seated
from muster_hub.store.errors import StoreUnavailable
from muster_hub.together import together
from muster_protocol.frames import MemberState, Push, SessionUpdatePush, UpdateState
from muster_protocol.ids import ClientId, SessionId
from muster_protocol.reasons import Reason

_log = structlog.get_logger(__name__)


async def tell(hub: Hub, clients: Iterable[ClientId], frame: Push) -> None:
    """Push one frame to the agents of these devices, wherever they are, as far as they can be found now."""
    await together(*(tell_one(hub, client, frame) for client in clients))


async def tell_one(hub: Hub, client: ClientId, frame: Push) -> None:
    """Push one frame to one device's agent."""
    try:
        await hub.reach.push_live(client, frame)
    except StoreUnavailable as error:
        _log.info("push_not_sent", client=client[:8], cause=error.cause)


async def tell_out(
    hub: Hub, session: SessionId, client: ClientId, reason: Reason | None, members: Mapping[ClientId, Seated]
) -> None:
    """Tell the members, and the one who is out, that it is."""
    frame = update(session, client, MemberState.OUT, reason)
    await tell(hub, [client, *(row.client for row in members.values() if row.present)], frame)


def update(
    session: SessionId,
    client: ClientId | None,
    state: UpdateState,
    reason: Reason | None = None,
) -> SessionUpdatePush:
    """Give the hub's word on a session."""
    return SessionUpdatePush(session=session, client=client, state=state, reason=reason)
