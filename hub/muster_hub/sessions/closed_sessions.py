"""Closed sessions leave the session index of a device once a place is missing, and at their hard end otherwise.

Until then they are listed, so that a device which missed the end of one reads it.
"""

from collections.abc import Sequence

from muster_hub.concurrency import together
from muster_hub.context import NodeContext
from muster_hub.rate_limits.costs import LISTED
from muster_hub.rate_limits.spending import Payer
from muster_hub.sessions.state import read_state
from muster_hub.sessions.views import read_session_index
from muster_hub.store import keys
from muster_hub.store.scripts import script
from muster_hub.store.steps import change
from muster_protocol.ids import ClientId, SessionId

_UNINDEX = script("unindex")


async def drop_closed(context: NodeContext, payer: Payer, client: ClientId) -> bool:
    """Drop the closed sessions in the index of a device that lacks a place, and return whether there were any.

    ``payer`` is charged for each session that is read. Raises ``StoreUnavailable``.
    """
    index = await read_session_index(context, client)
    context.charge(payer, LISTED * len(index))
    closed = await _closed(context, index)
    return bool(closed) and await change(context.store, _UNINDEX, [keys.session_index(client)], *closed) != 0


async def _closed(context: NodeContext, index: Sequence[SessionId]) -> list[str]:
    """Return the entries of those that are closed for good; what the store does not know may be about to be made."""
    states = await together(*(read_state(context, session) for session in index))
    return [f"{state.session} {state.creator}" for state in states if state is not None and not state.open]
