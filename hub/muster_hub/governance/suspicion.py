"""The suspicion that a device was cloned, cleared by its person."""

from muster_hub.context import NodeContext
from muster_hub.presence.registry import word
from muster_hub.routing.caller import Caller
from muster_hub.store import keys
from muster_hub.store.adapter import Word
from muster_hub.store.scripts import script
from muster_protocol.errors import Refused
from muster_protocol.frames import ClearSuspicion, Ok
from muster_protocol.reasons import Reason

_CLEAR_SUSPICION = script("clear_suspicion")


async def clear_suspicion(context: NodeContext, caller: Caller, request: ClearSuspicion) -> Ok:
    """Accept the person's confirmation that this device is the only copy of its identity.

    Raises ``Refused``: ``device_revoked``, ``superseded``; ``StoreUnavailable``.
    """
    client = caller.client
    where = [keys.device(client), keys.instances(client), keys.outbox(keys.bucket(client))]
    args: list[Word] = [client, await context.store.not_after_ms(), caller.connection]
    reply = word(await context.store.run(_CLEAR_SUSPICION, where, args))
    if reply != "cleared":
        raise Refused(Reason(reply))
    return Ok(re=request.id)
