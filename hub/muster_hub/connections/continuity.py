"""The request ``token.confirm``: the agent's continuity token is on its disk (SPEC.md section 4.4)."""

from muster_hub.context import NodeContext
from muster_hub.presence.registry import confirm
from muster_hub.routing.caller import Caller
from muster_protocol.frames import ConfirmToken, Ok


async def confirm_token(context: NodeContext, caller: Caller, request: ConfirmToken) -> Ok:
    """Record that the agent's token is on its disk; raises what ``confirm`` raises."""
    await confirm(context.store, caller.client, caller.connection, request.counter)
    return Ok(re=request.id)
