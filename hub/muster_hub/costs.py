"""The rate of work of each device on this node, shared by its connections, and what a request and its effects cost.

A unit is about 0.1 ms of CPU, of the node and the store together. What a request certainly causes is taken before it is
served. What only the store knows (peers to push to, sessions to cut) is charged afterwards, so a device may owe units;
its next request is refused as ``rate_limited`` until they are paid.
"""

from muster_hub.listener.rate_limit import Rate
from muster_protocol.frames import (
    Admit,
    CloseSession,
    CreateSession,
    GetCard,
    ListStatements,
    PutStatement,
    Request,
    SendAnswer,
    SendInvites,
    SendJoined,
    SendLeave,
    Watch,
    Who,
    Why,
)

REQUEST_RATE = Rate(per_s=40, burst=400)
"""In units. A device with 200 peers that starts watches all of them, asks about all of them (51 units each), publishes
its card to all of them (103) and reads its statements and sessions. The burst lets it do all that without a wait."""
MAX_DEVICES = 20_000
"""Devices whose allowance is remembered; the least recently used one is forgotten first."""

REQUEST = 1.0
"""A message read, the check that its connection is current, and the reply."""
LOOKUP = 0.25
"""One device that is read in the store for another one."""
WRITE = 0.5
"""One step in the store that changes something."""
PUSH = 0.25
"""One message to another device."""
SIGNATURE = 1.0
"""One signature to check."""
PAGE = 3.0
"""A page of statements, or a card: up to a message's size."""

CARD_PUSH = LOOKUP + PUSH
"""For each peer that the device of a new card trusts."""
CUT = WRITE + PUSH
"""For each session to which a restriction of the device is carried."""
INVITE = 2 * LOOKUP + 2 * WRITE + 2 * PUSH
"""Each invite: the facts of two devices, the session and an inbox, the push and its end."""
ADMISSION = SIGNATURE + 4 * WRITE + 2 * PUSH
"""Each admission: the hold and its end, the seat and an inbox, the push and the new epoch to a member."""

_COSTS: dict[type[Request], float] = {
    PutStatement: REQUEST + SIGNATURE + WRITE + CARD_PUSH,
    ListStatements: REQUEST + PAGE,
    GetCard: REQUEST + LOOKUP + PAGE / 4,
    CreateSession: REQUEST + SIGNATURE + 2 * WRITE,
    CloseSession: REQUEST + WRITE,
    SendAnswer: REQUEST + 2 * WRITE + PUSH,
    SendJoined: REQUEST + WRITE,
    SendLeave: REQUEST + WRITE,
    Why: REQUEST + 2 * LOOKUP,
}


def cost(request: Request) -> float:
    """Return what a request costs before it is served, in units: never more than the burst."""
    match request:
        case Who() | Watch():
            return REQUEST + LOOKUP * len(request.clients)
        case SendInvites():
            return REQUEST + INVITE * len(request.invites)
        case Admit():
            return REQUEST + SIGNATURE + ADMISSION * len(request.admissions)
        case _:
            return _COSTS.get(type(request), REQUEST)
