"""The suspicion that a device was cloned, cleared by its person."""

from muster_hub.context import NodeContext
from muster_hub.routing.caller import Caller
from muster_hub.store import keys
from muster_hub.store.scripts import script
from muster_hub.store.steps import change
from muster_protocol.frames import ClearSuspicion, Ok

_CLEAR_SUSPICION = script("clear_suspicion")


async def clear_suspicion(context: NodeContext, caller: Caller, request: ClearSuspicion) -> Ok:
    """Accept the person's confirmation that this device is the only copy of its identity.

    Raises ``Refused``: ``clone_suspected`` while the last continuity token is issued and not confirmed, and for a
    connection that showed an older one, unless it is the agent's; ``device_revoked``, ``superseded``;
    ``StoreUnavailable``.
    """
    client = caller.client
    where = [keys.device(client), keys.instances(client), keys.outbox(keys.bucket(client))]
    await change(context.store, _CLEAR_SUSPICION, where, client, caller.connection, caller.token_counter)
    return Ok(re=request.id)
