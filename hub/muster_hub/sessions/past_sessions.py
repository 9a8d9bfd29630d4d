"""Sessions that are over for a device leave its session index once a place is missing, and at their hard end otherwise.

They are closed, or the device is in them no more. Until then they are listed, so that a device which missed the end of
one reads it.
"""

from collections.abc import Sequence

from muster_hub.concurrency import together
from muster_hub.context import NodeContext
from muster_hub.rate_limits.costs import LISTED
from muster_hub.rate_limits.spending import Payer
from muster_hub.sessions.views import read_session_index
from muster_hub.store import keys
from muster_hub.store.cells import data, number
from muster_hub.store.scripts import script
from muster_hub.store.steps import change
from muster_protocol.ids import ClientId, SessionId

_HOLDS = script("holds")
_PAST = script("past")
_UNINDEX = script("unindex")


async def drop_past(context: NodeContext, payer: Payer, client: ClientId) -> bool:
    """Drop the sessions that are over for a device that lacks a place, and return whether there were any.

    Nothing is dropped where a join held the device meanwhile: it may bring it back into a session that it left, and
    every later restriction of the device must reach that session. ``payer`` is charged for each session that is read.
    Raises ``StoreUnavailable``.
    """
    held = number(await context.store.run(_HOLDS, [keys.device(client)]))
    index = await read_session_index(context, client)
    context.charge(payer, LISTED * len(index))
    past = await _past(context, client, index)
    touched = [keys.session_index(client), keys.device(client)]
    return bool(past) and await change(context.store, _UNINDEX, touched, held, *past) != 0


async def _past(context: NodeContext, client: ClientId, index: Sequence[SessionId]) -> list[str]:
    """Return the entries of those that are over; what the store does not know may be about to be made."""
    creators = await together(*(_creator_of_past(context, client, session) for session in index))
    return [f"{session} {creator.decode()}" for session, creator in zip(index, creators, strict=True) if creator]


async def _creator_of_past(context: NodeContext, client: ClientId, session: SessionId) -> bytes:
    touched = [keys.session(session), keys.roster(session), keys.invite_outcomes(session)]
    return data(await context.store.run(_PAST, touched, [client]))
