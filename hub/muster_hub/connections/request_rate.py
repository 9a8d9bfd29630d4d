"""The rate of requests of each device on this node: one token bucket per device, shared by its connections."""

from collections import OrderedDict

from muster_hub.listener.rate_limit import Rate, TokenBucket
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
from muster_protocol.ids import ClientId

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


class Allowances:
    """The allowance that each device has left. A device that reconnects keeps its bucket."""

    __slots__ = ("_buckets", "_rate")

    def __init__(self, rate: Rate = REQUEST_RATE) -> None:
        self._rate = rate
        self._buckets: OrderedDict[ClientId, TokenBucket] = OrderedDict()

    def wait_ms(self, client: ClientId, units: float, now_s: float) -> int:
        """Take ``units`` and return 0; or take nothing and return in how many ms they will be available."""
        bucket = self._buckets.get(client)
        if bucket is None:
            bucket = self._buckets[client] = TokenBucket(self._rate, now_s)
            if len(self._buckets) > MAX_DEVICES:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(client)
        if bucket.take(units, now_s):
            return 0
        return max(1, int(bucket.wait_s(now_s, units) * 1000))
