"""The rate of requests of each device on this node, shared by its connections, and what each request costs."""

from muster_hub.listener.rate_limit import Rate
from muster_protocol.frames import (
    Admit,
    CreateSession,
    GetCard,
    ListStatements,
    PutStatement,
    Request,
    SendInvites,
    Watch,
    Who,
    Why,
)

REQUEST_RATE = Rate(per_s=40, burst=400)
"""In units; most requests cost one."""
MAX_DEVICES = 20_000
"""Devices whose allowance is remembered; the least recently used one is forgotten first."""

_COSTS: dict[type[Request], float] = {
    PutStatement: 2,
    ListStatements: 4,
    GetCard: 2,
    CreateSession: 4,
    Admit: 4,
    Why: 2,
}
_INVITE_COST = 2
_LOOKED_AT_PER_UNIT = 16
"""Devices that one unit of ``who`` or ``watch`` looks at."""


def cost(request: Request) -> float:
    """Return what a request costs, in units."""
    if isinstance(request, SendInvites):
        return 1.0 + _INVITE_COST * len(request.invites)
    if isinstance(request, Who | Watch):
        return 1.0 + len(request.clients) / _LOOKED_AT_PER_UNIT
    return _COSTS.get(type(request), 1.0)
