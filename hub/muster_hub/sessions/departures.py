"""Departures: the statements by which members went, for the session's creator (SPEC.md section 8.5)."""

from collections.abc import Mapping

from muster_hub.concurrency import together
from muster_hub.context import NodeContext
from muster_hub.sessions.state import RosterMember, SessionState
from muster_hub.store import keys
from muster_hub.store.cells import signed
from muster_hub.store.scripts import script
from muster_protocol.frames import Departure
from muster_protocol.ids import ClientId
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed

_NEWEST_UNTRUST = script("newest_untrust")


async def read_departures(
    context: NodeContext, state: SessionState, left: Mapping[ClientId, Signed]
) -> tuple[Departure, ...]:
    """Return what each member of the newest epoch that is out said of it. Raises ``StoreUnavailable``.

    That is its ``leave``, which ``left`` has, or else its newest ``untrust`` of one whom it must trust here.
    """
    out = [row for row in state.members.values() if not row.present and row.last_epoch == state.epoch]
    found = await together(*(_departure(context, state, row, left.get(row.client)) for row in out))
    return tuple(each for each in found if each is not None)


async def _departure(
    context: NodeContext, state: SessionState, row: RosterMember, leave: Signed | None
) -> Departure | None:
    if leave is not None:
        return Departure(row.client, Kind.LEAVE, leave)
    if row.reason is not Reason.NOT_TRUSTED:
        return None
    must_trust = (state.creator, *state.must_trust(row.client, state.members))
    untrust = await context.store.run(_NEWEST_UNTRUST, [keys.peers(row.client)], must_trust)
    return Departure(row.client, Kind.UNTRUST, signed(untrust)) if untrust else None
