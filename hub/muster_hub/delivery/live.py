"""Live pushes. They may be lost: a device that was offline reads the state that it needs again."""

from collections.abc import Iterable

import structlog

from muster_hub.concurrency import together
from muster_hub.context import NodeContext
from muster_hub.store.errors import StoreUnavailable
from muster_protocol.frames import Push, encode_frame
from muster_protocol.ids import ClientId

_log = structlog.get_logger(__name__)


async def tell(context: NodeContext, clients: Iterable[ClientId], frame: Push) -> None:
    """Push one frame to the agents of these devices, on any node.

    A device that is offline, or that cannot be looked up while the store is unavailable, is left out.
    """
    data = encode_frame(frame)
    # Agents on this node, which most are, need no task of their own.
    away = [client for client in clients if not context.router.push_here(client, data)]
    await together(*(_find_and_tell(context, client, data) for client in away))


async def _find_and_tell(context: NodeContext, client: ClientId, data: bytes) -> None:
    try:
        await context.router.push_live(client, data)
    except StoreUnavailable as error:
        _log.info("push_not_sent", client=client[:8], cause=error.cause)
