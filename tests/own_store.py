"""A device's own store as plain data: the machines of the protocol decide over it, and it decides nothing itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from msgspec.structs import replace

from muster_protocol.attended import Attended
from muster_protocol.cards import Mode, ProtocolRange
from muster_protocol.decision import Compatibility, GrantFacts
from muster_protocol.ids import ClientId, Fingerprint, InviteId, Serial, SessionId, TimeMs
from muster_protocol.own_decision import OwnFacts
from muster_protocol.reasons import Reason

ALWAYS = TimeMs(2**53 - 1)


def full_grant(peer_key: Fingerprint, *, revoked: bool = False, used: bool = False) -> GrantFacts:
    """Return a grant that covers everything at any time."""
    return GrantFacts(revoked, peer_key, Mode.SYNCHRONIZE, None, used, TimeMs(0), ALWAYS)


@dataclass(slots=True)
class StoredData:
    """What a device trusts and granted; a test changes it, and the next act finds it changed."""

    client: ClientId
    fingerprint: Fingerprint
    pins: dict[ClientId, Fingerprint] = field(default_factory=dict)
    trust: dict[ClientId, Serial] = field(default_factory=dict)
    grants: dict[ClientId, GrantFacts] = field(default_factory=dict)
    spent_on: dict[ClientId, InviteId] = field(default_factory=dict)
    standing: Reason | None = None
    peers: dict[ClientId, Compatibility] = field(default_factory=dict)
    sessions: dict[SessionId, Attended] = field(default_factory=dict)

    def attended(self, session: SessionId) -> Attended | None:
        return self.sessions.get(session)

    def facts(self) -> OwnFacts:
        return OwnFacts(
            client=self.client,
            fingerprint=self.fingerprint,
            pins=dict(self.pins),
            trust=dict(self.trust),
            grants=dict(self.grants),
            spent_on=dict(self.spent_on),
            compatibility=Compatibility(ProtocolRange(1, 1), "muster", tuple(Mode)),
            peers=dict(self.peers),
            standing=self.standing,
        )

    def spend(self, peer: ClientId, invite: InviteId) -> bool:
        """Record a use of the grant to a peer; return False where one is recorded already."""
        if peer in self.spent_on:
            return False
        self.spent_on[peer] = invite
        self.grants[peer] = replace(self.grants[peer], used=True)
        return True

    def agree(self, peers: Mapping[ClientId, Fingerprint]) -> Self:
        """Trust these peers, and grant each of them everything."""
        for client, key in peers.items():
            if client != self.client:
                self.pins[client] = key
                self.grants[client] = full_grant(key)
        return self
