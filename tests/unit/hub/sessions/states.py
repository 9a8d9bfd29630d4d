"""Sessions, and the facts about devices, as the store would give them."""

from collections.abc import Iterable, Mapping

from muster_hub.sessions.facts import DeviceFacts, GrantRecord
from muster_hub.sessions.state import RosterMember, SessionState
from muster_hub.store.rows import GrantRow
from muster_protocol.cards import Mode, ProtocolRange
from muster_protocol.decision import Compatibility
from muster_protocol.frames import MemberState, SessionKind
from muster_protocol.ids import ClientId, Fingerprint, Hash, InviteId, Seed, Serial, SessionId, TimeMs

NOW = TimeMs(1_000_000)
SESSION = SessionId("s" * 32)
ANN, BOB, CAT, DAN, EVE = (ClientId(letter * 32) for letter in "abcde")


def key_of(client: ClientId) -> Fingerprint:
    """Return the fingerprint of a device's key."""
    return Fingerprint(client.encode())


def member(client: ClientId, state: MemberState = MemberState.JOINED, *, last: int = 0) -> RosterMember:
    invite = None if client == ANN else InviteId(client[:16].encode())
    return RosterMember(client, state, key_of(client), TimeMs(1), None, invite, last)


def session_of(*members: RosterMember, kind: SessionKind = SessionKind.MESH, epoch: int = 1) -> SessionState:
    """Return an open session of ANN with these other members."""
    rows = (member(ANN), *members)
    return SessionState(
        session=SESSION,
        creator=ANN,
        seed=Seed(bytes(16)),
        mode=Mode.JOIN,
        profile=None,
        kind=kind,
        open=True,
        created_at=TimeMs(1),
        ends_at=TimeMs(NOW + 1),
        epoch=epoch,
        epoch_hash=Hash(bytes(32)),
        members={row.client: row for row in rows},
    )


def grant(peer: ClientId, *, key: Fingerprint | None = None, expires_at: int = NOW + 1) -> GrantRecord:
    """Return a grant for all automatic joins with a peer."""
    row = GrantRow(
        kind="grant",
        serial=Serial(1),
        hash=Hash(bytes(32)),
        grant_id=b"g" * 16,
        peer_fp=key or key_of(peer),
        mode=Mode.JOIN,
        profiles=None,
        uses=0,
        not_before=TimeMs(0),
        expires_at=TimeMs(expires_at),
        signed=b"",
    )
    return GrantRecord(row, None)


def facts_of(
    client: ClientId, peers: Iterable[ClientId], rotated: Mapping[ClientId, Fingerprint] | None = None
) -> DeviceFacts:
    """Return the facts of a device that trusts these peers and grants them automatic joins, under their newest keys.

    ``rotated`` are the newest keys of those that have another one than ``key_of`` returns.
    """
    now = {peer: key_of(peer) for peer in (client, *peers)} | dict(rotated or {})
    others = [peer for peer in peers if peer != client]
    return DeviceFacts(
        client=client,
        ver=1,
        standing=None,
        fingerprint=now[client],
        compatibility=Compatibility(ProtocolRange(1, 1), "muster", tuple(Mode)),
        agent=None,
        connections=frozenset(),
        acquainted=True,
        pins={peer: now[peer] for peer in others},
        given={peer: grant(peer, key=now[peer]) for peer in others},
    )
