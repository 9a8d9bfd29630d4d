"""The facts about a device by which the hub decides, read in one step from the device's slot (SPEC.md section 6)."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from msgspec import Struct

from muster_hub.context import NodeContext
from muster_hub.store import keys, rows
from muster_hub.store.adapter import Reply, all_of
from muster_hub.store.cells import data, items, number, pairs, text
from muster_hub.store.rows import Location
from muster_hub.store.scripts import script
from muster_protocol.cards import Mode
from muster_protocol.decision import Compatibility, GrantFacts, Party
from muster_protocol.ids import ClientId, Fingerprint, GrantId, InviteId, SessionId, TimeMs
from muster_protocol.reasons import Reason

_FACTS = script("facts")


class GrantUse(Struct, frozen=True):
    """The use of a one-shot grant: the join for which it is held or spent.

    ``shared``: several requests for the same join rely on the hold.
    """

    session: SessionId
    invite: InviteId
    spent: bool
    since: TimeMs
    shared: bool

    def is_for(self, session: SessionId | None, invite: InviteId | None) -> bool:
        """Return whether the grant is held or spent for this join."""
        return (self.session, self.invite) == (session, invite)


class GrantRecord(Struct, frozen=True):
    """The newest grant or revocation of a device for one peer, and the use of it."""

    row: rows.GrantRow
    use: GrantUse | None

    @property
    def grant(self) -> GrantId:
        """The grant's id."""
        return GrantId(self.row.grant_id)

    def facts(self, session: SessionId | None, invite: InviteId | None) -> GrantFacts:
        """Return the facts for the decision on one join: a hold for this same join does not count as used."""
        return GrantFacts(
            revoked=self.row.kind == "revocation",
            peer_key=Fingerprint(self.row.peer_fp),
            mode=self.row.mode or Mode.JOIN,
            profiles=self.row.profiles,
            used=self.use is not None and not self.use.is_for(session, invite),
            not_before=self.row.not_before,
            expires_at=self.row.expires_at,
        )


class DeviceFacts(Struct, frozen=True):
    """One device, and its trust and grants for the peers asked for.

    ``fingerprint`` is None for a device that the hub does not know; ``agent`` is where its agent is connected.
    ``acquainted``: it has trusted a device before.
    ``not_held``: why a join that asked for it does not hold it.
    """

    client: ClientId
    ver: int
    standing: Reason | None
    fingerprint: Fingerprint | None
    compatibility: Compatibility | None
    agent: Location | None
    connections: frozenset[int]
    acquainted: bool
    pins: Mapping[ClientId, Fingerprint]
    given: Mapping[ClientId, GrantRecord]
    not_held: Reason | None = None

    def party(
        self,
        *,
        online: bool | None,
        session: SessionId | None = None,
        invites: Mapping[ClientId, InviteId] | None = None,
    ) -> Party:
        """Return the device for the decision; ``invites`` are the joins, by peer, for which a grant may be held."""
        held = invites or {}
        return Party(
            client=self.client,
            fingerprint=self.fingerprint,
            standing=self.standing,
            pins=self.pins,
            grants={peer: given.facts(session, held.get(peer)) for peer, given in self.given.items()},
            compatibility=self.compatibility,
            online=online,
        )


def is_online(context: NodeContext, facts: DeviceFacts) -> bool:
    """Return whether a device's agent is connected to a live node."""
    return facts.agent is not None and context.nodes.live(facts.agent.node, facts.agent.incarnation)


def fact_keys(client: ClientId) -> tuple[bytes, ...]:
    """Return the keys that the scripts ``facts`` and ``hold`` read, in their order."""
    return (
        keys.device(client),
        keys.instances(client),
        keys.peers(client),
        keys.grants(client),
        keys.uses(client),
    )


async def read_facts(context: NodeContext, asked: Mapping[ClientId, Sequence[ClientId]]) -> dict[ClientId, DeviceFacts]:
    """Return the facts of devices, each about the peers named for it. Raises ``StoreUnavailable``.

    The work is the same whether a device exists or not.
    """
    replies = await all_of(context.store.begin(_FACTS, fact_keys(client), peers) for client, peers in asked.items())
    return {client: parse(client, peers, reply) for (client, peers), reply in zip(asked.items(), replies, strict=True)}


def parse(client: ClientId, peers: Sequence[ClientId], reply: Reply) -> DeviceFacts:
    """Return the facts in the reply of the script ``facts`` or ``hold``."""
    ver, standing, fingerprint, compatibility, seat, acquainted, instances, statements, *words = items(reply)
    connections = {number(name): data(cell) for name, cell in pairs(instances)}
    row = connections.get(number(seat))
    pins, given = _about_peers(peers, items(statements))
    return DeviceFacts(
        client=client,
        ver=number(ver),
        standing=Reason(text(standing)) if standing else None,
        fingerprint=Fingerprint(data(fingerprint)) if fingerprint else None,
        compatibility=_compatibility(data(compatibility)) if compatibility else None,
        agent=rows.location(number(seat), rows.instance_row(row)) if row else None,
        connections=frozenset(connections),
        acquainted=number(acquainted) > 0,
        pins=pins,
        given=given,
        not_held=next((Reason(text(word)) for word in words if word), None),
    )


def _about_peers(
    peers: Sequence[ClientId], cells: Sequence[object]
) -> tuple[dict[ClientId, Fingerprint], dict[ClientId, GrantRecord]]:
    """Return the pins and grants in a reply that lists pin, grant and use of each peer in turn."""
    pins, given = {}, {}
    for index, peer in enumerate(peers):
        pin, grant, use = cells[3 * index : 3 * index + 3]
        if pin:
            pins[peer] = Fingerprint(data(pin))
        if grant:
            given[peer] = GrantRecord(rows.grant_row(data(grant)), _use(data(use)))
    return pins, given


@lru_cache(maxsize=rows.ROWS_CACHED)
def _compatibility(packed: bytes) -> Compatibility:
    row = rows.read(packed, rows.CompatibilityRow)
    return Compatibility(row.protocol, row.app, row.modes)


def _use(packed: bytes) -> GrantUse | None:
    if not packed:
        return None
    row = rows.read(packed, rows.UseRow)
    return GrantUse(row.session, row.invite, spent=row.state == "spent", since=row.since_ms, shared=row.shared == 1)
