"""The ends of invites, told to the devices that were invited."""

from collections.abc import Iterable

import structlog

from muster_hub.concurrency import together
from muster_hub.context import NodeContext
from muster_hub.delivery import inbox
from muster_hub.store.errors import StoreUnavailable
from muster_hub.store.rows import InviteEndRow
from muster_protocol.errors import Refused

_log = structlog.get_logger(__name__)


async def tell_ends(context: NodeContext, ends: Iterable[InviteEndRow]) -> None:
    """Put each end into the inbox of the invite's target, now or, if that fails, from the outbox.

    An end that does not get there does no harm: an answer to the invite is refused, and the invite expires.
    """
    await together(*(_tell(context, end) for end in ends))


async def _tell(context: NodeContext, end: InviteEndRow) -> None:
    try:
        await inbox.put_invite_end(context, end)
    except (Refused, StoreUnavailable) as error:
        _log.info("invite_end_waits_in_outbox", client=end.client[:8], cause=str(error))
