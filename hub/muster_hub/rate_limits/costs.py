"""The rate of work of each device on this node, shared by its connections, and what a request and its effects cost.

A unit is the CPU of one signature check, of the node and the store together; the README's figures have its time. Each
message is charged before it is decoded, so that one which cannot be served is not free. What a request certainly causes
beyond that is taken before it is served. What only the store knows (peers to push to, sessions to cut) is charged
afterwards. So a device may owe units; its next request is refused as ``rate_limited`` until they are paid.
"""

from muster_hub.rate_limits.token_bucket import Rate
from muster_protocol.frames import (
    Admit,
    CancelInvite,
    CloseSession,
    CreateSession,
    GetCard,
    GetSession,
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
from muster_protocol.labels import Kind

REQUEST_RATE = Rate(per_s=40, burst=400, debt_limit=400)
"""In units. A device with 200 peers that starts watches all of them, asks about all of them (54 units each), publishes
its card to all of them (103) and reads its statements and sessions. The burst lets it do all that without a wait.
One that owes more than the debt limit goes on asking though it is refused; each message of it waits."""
REQUEST = 1.0
"""A message read, the check that its connection is current, and the reply."""
KIB = 0.5
"""A whole KiB of a message: at worst, decoding 64 KiB of small values takes 4 ms."""
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

LISTED = LOOKUP
"""Each session that is read for a list of them, also one that is not shown."""
CARD_PUSH = LOOKUP + PUSH
"""For each peer that the device of a new card trusts."""
CUT = WRITE + PUSH
"""For each session to which a restriction of the device is carried."""
INVITE = 2 * LOOKUP + 2 * WRITE + 2 * PUSH
"""Each invite: the facts of two devices, the session and an inbox, the push and its end."""
CALL_AGAIN = PUSH + REQUEST + INVITE
"""For each request of a member to be admitted again: the push to the creator, and the invite that it then sends."""
ADMISSION = SIGNATURE + 3 * WRITE + 2 * PUSH
"""Each admission: the hold and its end, the seat, the push and the new epoch to a member."""
KEPT = 2 * WRITE + PUSH
"""Each member that an admission keeps: the hold and its end, and the push of the new epoch."""

KEPT_ROW = 512
"""Bytes in the store beside those of the message that left them."""
KEPT_DEVICE = 1_024
"""Bytes of a device that has stated nothing yet, with one key."""
KEPT_KEY = 32
"""Bytes of each key that it had before."""
KEPT_FOR_DAYS = 0.1
"""The part that is charged of what is kept for days and not for months."""

RESTRICTIONS = frozenset({Kind.UNTRUST, Kind.REVOCATION})
"""Statements that a device needs with any others at its address: they are judged by its own rate alone."""

_KEPT: dict[type[Request], float] = {
    PutStatement: 1.0,
    CreateSession: KEPT_FOR_DAYS,
    SendInvites: KEPT_FOR_DAYS,
    SendAnswer: KEPT_FOR_DAYS,
    Admit: KEPT_FOR_DAYS,
    SendJoined: KEPT_FOR_DAYS,
    SendLeave: KEPT_FOR_DAYS,
}

_COSTS: dict[type[Request], float] = {
    PutStatement: SIGNATURE + WRITE + CARD_PUSH,
    ListStatements: PAGE,
    GetCard: LOOKUP + PAGE / 4,
    CreateSession: SIGNATURE + 2 * WRITE,
    CloseSession: WRITE,
    GetSession: PAGE,
    CancelInvite: WRITE + PUSH,
    SendAnswer: SIGNATURE + 2 * WRITE + PUSH,
    SendJoined: SIGNATURE + WRITE,
    SendLeave: SIGNATURE + WRITE,
    Why: 2 * LOOKUP,
}


def arrival_cost(size: int) -> float:
    """Return what a message of ``size`` bytes costs before it is decoded, in units."""
    return REQUEST + KIB * (size // 1024)


def cost(request: Request) -> float:
    """Return what a request costs before it is served, beyond its message, in units: never more than the burst."""
    match request:
        case Who() | Watch():
            return LOOKUP * len(request.clients)
        case SendInvites():
            return INVITE * len(request.invites)
        case Admit():
            return SIGNATURE + ADMISSION * len(request.admissions) + KEPT * len(request.sealed)
        case _:
            return _COSTS.get(type(request), 0.0)


def kept_bytes(request: Request, size: int) -> float:
    """Return what a request in a message of ``size`` bytes leaves in the store, as bytes that are kept for months."""
    return 0.0 if restricts(request) else _KEPT.get(type(request), 0.0) * (size + KEPT_ROW)


def restricts(request: Request) -> bool:
    """Return whether a request takes something back. What it leaves is charged when the store has said that it does."""
    return isinstance(request, PutStatement) and request.kind in RESTRICTIONS


def kept_statement(size: int) -> int:
    """Return what a statement of ``size`` bytes leaves in the store; 0 for one of 0, which was not kept."""
    return size + KEPT_ROW if size else 0
