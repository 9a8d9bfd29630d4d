"""Pushes of statements to the peers that they concern."""

import asyncio
from collections.abc import Sequence

import structlog

from muster_hub.context import NodeContext
from muster_hub.delivery.live import tell
from muster_hub.presence.lookup import live_agents
from muster_hub.presence.record import read_presence
from muster_hub.rate_limits.costs import LOOKUP, PUSH
from muster_hub.routing.caller import Caller
from muster_hub.store.errors import StoreUnavailable
from muster_protocol.frames import StatementPush, encode_frame
from muster_protocol.ids import ClientId
from muster_protocol.labels import Kind
from muster_protocol.signed import Signed

MAX_TOLD_AT_ONCE = 64
"""Peers that are looked up in parallel when a card changed."""

_log = structlog.get_logger(__name__)


async def push_card(context: NodeContext, caller: Caller, signed: Signed, peers: Sequence[ClientId]) -> None:
    """Push the caller's new card to these peers, which it trusts; see ``push_statement``."""
    for start in range(0, len(peers), MAX_TOLD_AT_ONCE):
        batch = peers[start : start + MAX_TOLD_AT_ONCE]
        pushes = [push_statement(context, caller, Kind.CARD, signed, peer, trusted=True, news=True) for peer in batch]
        await asyncio.gather(*pushes)


async def push_to_own_agent(context: NodeContext, caller: Caller, kind: Kind, signed: Signed) -> None:
    """Push what a command line of a device stated to the device's agent.

    A copy of its data may be that command line: else the agent learns of it only when it connects again.
    """
    context.charge(caller.payer, LOOKUP + PUSH)
    await tell(context, [caller.client], StatementPush(client=caller.client, kind=kind, statement=signed))


async def push_statement(
    context: NodeContext, caller: Caller, kind: Kind, signed: Signed, peer: ClientId, *, trusted: bool, news: bool
) -> None:
    """Push a statement to a peer if both trust each other.

    ``trusted``: the caller trusts the peer, or did until this statement. ``news``: it says what was not said before.
    A peer that trusts the caller and watches it sees at once whether the caller trusts it; a repeat makes no watch look
    again, since no device pays for that. Nothing is sent for a peer that does not trust the caller: not even to its
    node. The statement is stored by now; a peer that cannot be reached learns of it from the session, or not at all.
    """
    try:
        found = await read_presence(context.store, peer, caller.client, caller.fingerprint)
    except StoreUnavailable as error:
        _log.info("peer_not_told", client=caller.client[:8], cause=error.cause)
        return
    if not found.trusts(caller.fingerprint):
        return
    if news and kind in {Kind.TRUST, Kind.UNTRUST}:
        context.router.notify_presence(caller.client, {row.node for _, row in found.instances})
    if trusted:
        push = StatementPush(client=caller.client, kind=kind, statement=signed)
        context.router.push(peer, live_agents(context, found.instances), encode_frame(push))
