"""What waits for a device until it acknowledges it: invites, answers, admissions, and the ends of invites.

A push has an id made from what it carries, so that putting it twice leaves it there once, and a device that gets it
twice knows it. Nothing but a notify goes between nodes; the node that has the device reads the inbox and sends.
"""

from collections.abc import Sequence

from muster_hub.context import NodeContext
from muster_hub.presence.lookup import live_agents
from muster_hub.presence.record import Instances, instances
from muster_hub.routing.caller import Caller
from muster_hub.routing.services import LocalConnection
from muster_hub.store import keys
from muster_hub.store.cells import data, items, number, pairs, unpack
from muster_hub.store.scripts import script
from muster_hub.store.steps import change
from muster_protocol.closes import CloseCode
from muster_protocol.connect import Role
from muster_protocol.errors import Refused
from muster_protocol.exchange import MAX_INVITE_MS, hash_of
from muster_protocol.frames import (
    Ack,
    AdmissionPush,
    AnswerPush,
    InvitePush,
    InviteUpdatePush,
    Ok,
    Push,
    PushId,
    encode_frame,
)
from muster_protocol.ids import ClientId, InviteId, SessionId
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed

KEPT_MS = MAX_INVITE_MS
"""How long an answer, an admission or the end of an invite waits at most: as long as an invite can."""

_PUT = script("inbox_put")
_READ = script("inbox_read")
_ACK = script("inbox_ack")


async def put(
    context: NodeContext,
    client: ClientId,
    push: PushId,
    expires_ms: int,
    frame: Push,
    *,
    replaces: Sequence[PushId] = (),
) -> None:
    """Let a push wait for a device, and have it delivered now if the device is connected.

    Raises ``Refused(overloaded)`` when MAX_WAITING pushes wait already, ``StoreUnavailable``.
    """
    touched = [keys.inbox(client), keys.instances(client), keys.outbox(keys.bucket(client))]
    encoded = encode_frame(frame)
    reply = await change(context.store, _PUT, touched, client, push, expires_ms, encoded, *replaces)
    if reply is None:
        raise Refused(Reason.OVERLOADED, "too much waits for that device")
    # An agent that is here gets it from here: reading the inbox again would cost another call, and send it what it has.
    agents = live_agents(context, instances(items(reply)))
    context.router.notify_inbox(client, agents, encoded if context.nodes.acting() else None)


async def put_invite(context: NodeContext, client: ClientId, invite: InviteId, signed: Signed, expires_ms: int) -> None:
    """Let an invite wait; see ``put``."""
    push = invite_push(invite)
    await put(context, client, push, expires_ms, InvitePush(push=push, invite=signed))


async def put_answer(context: NodeContext, client: ClientId, signed: Signed) -> None:
    """Let an answer wait; see ``put``."""
    push = _named(Kind.ANSWER, signed)
    await put(context, client, push, await _until(context), AnswerPush(push=push, answer=signed))


async def put_admission(context: NodeContext, client: ClientId, signed: Signed) -> None:
    """Let an admission wait; see ``put``."""
    push = _named(Kind.ADMISSION, signed)
    await put(context, client, push, await _until(context), AdmissionPush(push=push, admission=signed))


async def put_invite_end(
    context: NodeContext, client: ClientId, session: SessionId, invite: InviteId, reason: Reason
) -> None:
    """Let the end of an invite wait for its target, in the place of the invite itself; see ``put``."""
    push = f"invite.update.{invite.hex()}"
    frame = InviteUpdatePush(push=push, session=session, client=client, invite=invite, reason=reason)
    await put(context, client, push, await _until(context), frame, replaces=[invite_push(invite)])


def invite_push(invite: InviteId) -> PushId:
    """Name the push of an invite."""
    return f"invite.{invite.hex()}"


def _named(kind: Kind, signed: Signed) -> PushId:
    return f"{kind}.{hash_of(kind, signed).hex()[:16]}"


async def _until(context: NodeContext) -> int:
    return await context.store.now_ms() + KEPT_MS


async def ack(context: NodeContext, caller: Caller, request: Ack) -> Ok:
    """Take pushes that the device has handled out of its inbox. Raises ``Refused(superseded)``."""
    touched = [keys.inbox(caller.client), keys.instances(caller.client)]
    await change(context.store, _ACK, touched, caller.connection, *request.pushes)
    return Ok(re=request.id)


async def deliver(context: NodeContext, client: ClientId, connection: LocalConnection) -> None:
    """Send all that waits, oldest first, to the device's agent. Raises ``StoreUnavailable``.

    An agent whose seat a newer one has is closed: the word to do so may have been lost on its way here.
    """
    waiting, connected = await _read(context, client)
    if any(row.role is Role.AGENT and name > connection.number for name, row in connected):
        connection.close(CloseCode.SUPERSEDED)
        return
    for frame in waiting:
        connection.send(frame)


async def notify_again(context: NodeContext, client: ClientId) -> None:
    """Notify a device's agent once more if anything still waits for it. Raises ``StoreUnavailable``."""
    waiting, connected = await _read(context, client)
    if waiting:
        context.router.notify_inbox(client, live_agents(context, connected))


async def _read(context: NodeContext, client: ClientId) -> tuple[list[bytes], Instances]:
    now = await context.store.now_ms()
    rows, connected = items(await context.store.run(_READ, [keys.inbox(client), keys.instances(client)]))
    waiting = sorted((unpack(data(row)) for _, row in pairs(rows)), key=lambda row: number(row[0]))
    return [data(frame) for _, expires, frame in waiting if number(expires) > now], instances(items(connected))
