"""The inbox of a device: invites, answers and the ends of invites, kept until the device acknowledges them.

The device's own slot judges each push: it is kept only if the device trusts the device that it comes from, under its
current key. For any other sender, and for an id that does not exist, nothing is written. An admission waits in its
session, and ends there with the seat.

A push has an id made from its content, so that an inbox holds it once however often it is put, and a device recognizes
a push that it receives twice. Nodes only notify each other; the node of the device's agent reads the inbox and sends.
"""

from collections.abc import Sequence
from typing import NamedTuple

from muster_hub.context import NodeContext
from muster_hub.presence.lookup import live_agents
from muster_hub.presence.record import Instances, instances
from muster_hub.routing.caller import Caller
from muster_hub.routing.services import LocalConnection
from muster_hub.store import keys
from muster_hub.store.cells import data, items, pairs
from muster_hub.store.rows import InviteEndRow, PushRow, read
from muster_hub.store.scripts import script
from muster_hub.store.steps import change
from muster_protocol.closes import CloseCode
from muster_protocol.connect import Role
from muster_protocol.exchange import MAX_INVITE_MS, Answer, Exchange, Invite, hash_of
from muster_protocol.frames import (
    Ack,
    AnswerPush,
    InvitePush,
    InviteUpdatePush,
    Ok,
    Push,
    PushId,
    encode_frame,
)
from muster_protocol.ids import ClientId, Fingerprint, InviteId
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed

KEPT_MS = MAX_INVITE_MS
"""How long an answer or the end of an invite waits at most: the longest life of an invite."""

_PUT = script("inbox_put")
_READ = script("inbox_read")
_ACK = script("inbox_ack")


class Sender(NamedTuple):
    """The device that a push comes from, and its key."""

    client: ClientId
    key: Fingerprint


async def put(  # noqa: PLR0917 - what the script needs
    context: NodeContext,
    client: ClientId,
    sender: Sender,
    push: PushId,
    expires_ms: int,
    frame: Push,
    *,
    replaces: Sequence[PushId] = (),
) -> None:
    """Put a push into a device's inbox, and deliver it now if the device is connected.

    Nothing happens where the device does not trust the sender, or has acknowledged this push already. ``replaces`` are
    pushes that it takes the place of. Raises ``Refused(overloaded)`` when MAX_INBOX pushes wait already, or
    MAX_INBOX_PER_SENDER of this sender; ``StoreUnavailable``.
    """
    touched = [key(client) for key in (keys.inbox, keys.acknowledged, keys.instances, keys.peers)]
    touched.append(keys.outbox(keys.bucket(client)))
    encoded = encode_frame(frame)
    reply = await change(context.store, _PUT, touched, client, push, expires_ms, encoded, *sender, *replaces)
    # An agent on this node gets the push directly: reading the inbox would cost a call, and send again what it has.
    agents = live_agents(context, instances(items(reply)))
    context.router.notify_inbox(client, agents, encoded if context.nodes.acting() else None)


async def put_invite(context: NodeContext, invite: Invite, signed: Signed, expires_ms: int) -> None:
    """Put an invite into its target's inbox; see ``put``."""
    push = invite_push(invite.invite)
    await put(context, invite.recipient, _sender(invite), push, expires_ms, InvitePush(push=push, invite=signed))


async def put_answer(context: NodeContext, answer: Answer, signed: Signed) -> None:
    """Put an answer into the creator's inbox; see ``put``."""
    push = f"answer.{hash_of(Kind.ANSWER, signed).hex()[:16]}"
    frame = AnswerPush(push=push, answer=signed)
    await put(context, answer.recipient, _sender(answer), push, await _until(context), frame)


async def put_invite_end(context: NodeContext, end: InviteEndRow) -> None:
    """Put the end of an invite into its target's inbox, in place of the invite itself; see ``put``."""
    push = f"invite.update.{end.invite.hex()}"
    frame = InviteUpdatePush(
        push=push, session=end.session, client=end.client, invite=end.invite, reason=Reason(end.reason)
    )
    sender, replaced = Sender(end.creator, end.creator_key), [invite_push(end.invite)]
    await put(context, end.client, sender, push, await _until(context), frame, replaces=replaced)


def invite_push(invite: InviteId) -> PushId:
    """Return the id of an invite's push."""
    return f"invite.{invite.hex()}"


def _sender(message: Exchange) -> Sender:
    return Sender(message.sender, message.sender_key)


async def _until(context: NodeContext) -> int:
    return await context.store.now_ms() + KEPT_MS


async def ack(context: NodeContext, caller: Caller, request: Ack) -> Ok:
    """Record that the device has handled pushes, so that they do not come again.

    Raises ``Refused(superseded)``, ``StoreUnavailable``.
    """
    client = caller.client
    touched = [keys.inbox(client), keys.acknowledged(client), keys.instances(client)]
    await change(context.store, _ACK, touched, caller.connection, *request.pushes)
    return Ok(re=request.id)


async def deliver(context: NodeContext, client: ClientId, connection: LocalConnection) -> None:
    """Send everything in the inbox, oldest first, to the device's agent. Raises ``StoreUnavailable``.

    An agent that a newer one superseded is closed instead: the message to close it may have been lost.
    """
    waiting, connected = await _read(context, client)
    if any(row.role is Role.AGENT and name > connection.number for name, row in connected):
        connection.close(CloseCode.SUPERSEDED)
        return
    for frame in waiting:
        connection.send(frame)


async def notify_again(context: NodeContext, client: ClientId) -> None:
    """Notify the node of a device's agent again if the inbox is not empty. Raises ``StoreUnavailable``."""
    waiting, connected = await _read(context, client)
    if waiting:
        context.router.notify_inbox(client, live_agents(context, connected))


async def _read(context: NodeContext, client: ClientId) -> tuple[list[bytes], Instances]:
    now = await context.store.now_ms()
    rows, connected = items(await context.store.run(_READ, [keys.inbox(client), keys.instances(client)]))
    waiting = sorted((read(data(row), PushRow) for _, row in pairs(rows)), key=lambda row: row.order)
    return [row.frame for row in waiting if row.expires_ms > now], instances(items(connected))
