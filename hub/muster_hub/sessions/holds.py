"""Holds: what a join takes in each party's slot before the session's slot decides, and returns afterwards.

        free --hold--> held --settle: committed--> spent
          ^             |
          +--settle: not-+

If a node dies before it settles a hold, the next join that finds the hold settles it: the session's slot shows how the
first join ended. So it is with a hold that two requests for the same join share: each may only spend it, since the
other may be committed over it.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import astuple

from muster_hub.concurrency import together
from muster_hub.context import NodeContext
from muster_hub.rate_limits.spending import Payer
from muster_hub.sessions.facts import DeviceFacts, GrantUse, fact_keys, parse
from muster_hub.sessions.past_sessions import drop_past
from muster_hub.store import keys
from muster_hub.store.adapter import Word
from muster_hub.store.scripts import script
from muster_hub.store.steps import change, changes
from muster_protocol.ids import ClientId, Fingerprint, GrantId, InviteId, SessionId, TimeMs
from muster_protocol.reasons import Reason

HOLD_MS = 60_000
"""Age at which another join settles a hold. No commit runs over a hold older than half of that."""

_HOLD = script("hold")
_SETTLE = script("settle")
_OUTCOME = script("invite_outcome")


class HeldFor(Struct, frozen=True):
    """The session for which devices are held: only those that trust its creator under ``creator_key``."""

    session: SessionId
    ends_at: TimeMs
    creator: ClientId
    creator_key: Fingerprint


class HoldRequest(Struct, frozen=True):
    """What to hold of one device: its statements about ``peers``, and its one-shot grants to the peers in ``invites``.

    ``connection`` is the connection that must be current, 0 for any.
    """

    client: ClientId
    peers: tuple[ClientId, ...]
    invites: Mapping[ClientId, InviteId]
    connection: int = 0


async def hold(
    context: NodeContext, payer: Payer, held_for: HeldFor, wanted: Sequence[HoldRequest]
) -> dict[ClientId, DeviceFacts]:
    """Hold every party for a join, in one round trip, and return the facts of each.

    Stale holds of other joins are settled first, and sessions that are over dropped from a full index, which takes
    further round trips: only those devices are held once more, as a hold that is taken twice counts as shared.
    ``not_held`` of a device is ``superseded``, or ``overloaded`` where it has no place for another session, or for
    another one of this creator. Raises ``Refused``: ``rate_limited`` (the creator made too many sessions);
    ``StoreUnavailable``.
    """
    held = await _hold_all(context, held_for, wanted)
    full = [client for client, facts in held.items() if facts.not_held is Reason.OVERLOADED]
    free = {client for client in full if await drop_past(context, payer, client)}
    held |= await _hold_all(context, held_for, [each for each in wanted if each.client in free])
    grants = [(held[each.client], peer) for each in wanted for peer in each.invites]
    free = await settle_stale_holds(context, grants)
    return held | await _hold_all(context, held_for, [each for each in wanted if each.client in free])


async def settle_stale_holds(context: NodeContext, grants: Iterable[tuple[DeviceFacts, ClientId]]) -> set[ClientId]:
    """Settle the holds on grants to these peers that are older than HOLD_MS: their joins did not settle them.

    Return the devices that had any: their facts must be read again. Raises ``StoreUnavailable``.
    """
    oldest = await context.store.now_ms() - HOLD_MS
    found = [(facts.client, facts.given[peer]) for facts, peer in grants if peer in facts.given]
    stale = [
        (client, given.grant, given.use)
        for client, given in found
        if given.use and not given.use.spent and given.use.since < oldest
    ]
    await together(*(_settle_hold(context, client, grant, use) for client, grant, use in stale))
    return {client for client, _, _ in stale}


async def settle(
    context: NodeContext,
    session: SessionId,
    wanted: Sequence[HoldRequest],
    held: Mapping[ClientId, DeviceFacts],
    *,
    spent: bool,
) -> None:
    """End the holds of a join. Raises ``StoreUnavailable``; a join that finds them after HOLD_MS then settles them."""
    word = "spent" if spent else "free"
    own = [(each.client, _own(session, each, held[each.client], spent=spent)) for each in wanted]
    calls = [
        ([keys.uses(client)], [arg for grant, use in ours for arg in (grant, session, use.invite, use.since, word)])
        for client, ours in own
        if ours
    ]
    if calls:
        await changes(context.store, _SETTLE, calls)


def _own(session: SessionId, wanted: HoldRequest, facts: DeviceFacts, *, spent: bool) -> list[tuple[GrantId, GrantUse]]:
    """Return the uses that this join held and may end: a shared one only by spending it."""
    found = [(facts.given.get(peer), invite) for peer, invite in wanted.invites.items()]
    return [
        (given.grant, given.use)
        for given, invite in found
        if given and given.use and given.use.is_for(session, invite) and (spent or not given.use.shared)
    ]


async def _hold_all(
    context: NodeContext, held_for: HeldFor, wanted: Sequence[HoldRequest]
) -> dict[ClientId, DeviceFacts]:
    replies = await changes(context.store, _HOLD, [_call(held_for, each) for each in wanted])
    return {each.client: parse(each.client, each.peers, reply) for each, reply in zip(wanted, replies, strict=True)}


def _call(held_for: HeldFor, wanted: HoldRequest) -> tuple[Sequence[bytes], Sequence[Word]]:
    touched = (*fact_keys(wanted.client), keys.session_index(wanted.client))
    named: list[Word] = [word for peer in wanted.peers for word in (peer, wanted.invites.get(peer, b""))]
    return touched, [*astuple(held_for), wanted.client, wanted.connection, *named]


async def _settle_hold(context: NodeContext, client: ClientId, grant: GrantId, use: GrantUse) -> None:
    touched = [keys.session(use.session), keys.invite_outcomes(use.session)]
    outcome = await context.store.run(_OUTCOME, touched, [use.invite])
    # An expired session does not show how its join ended, so the grant counts as used.
    word = "spent" if outcome in (b"seated", b"gone") else "free"
    await change(context.store, _SETTLE, [keys.uses(client)], grant, use.session, use.invite, use.since, word)
