"""The fence before what a connection asks of a session: a connection whose place another one took asks for nothing."""

from muster_hub.caller import Caller
from muster_hub.context import Hub
from muster_hub.store import keys
from muster_hub.store.scripts import script
from muster_protocol.errors import Refused
from muster_protocol.reasons import Reason

_FENCE = script("fence")


async def check_current(hub: Hub, caller: Caller) -> None:
    """Raise ``Refused(superseded)`` unless the caller's connection is current. Raises ``StoreUnavailable``."""
    if not await hub.store.run(_FENCE, [keys.instances(caller.client)], [caller.connection]):
        raise Refused(Reason.SUPERSEDED)
