"""What deciders know, at random and from what a device itself said."""

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st
from tests.property.cast import BY_CLIENT, DAY_MS, NOON, A, B, C, M, RotatedDevice
from tests.property.statements import DurableStatement, merged

from muster_protocol.cards import Mode, ProtocolRange
from muster_protocol.decision import Call, Compatibility, GrantFacts, Party
from muster_protocol.frames import Purpose, SessionKind
from muster_protocol.ids import ClientId, Fingerprint, TimeMs
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason

COMPATIBLE = Compatibility(ProtocolRange(1, 3), "muster", tuple(Mode))
LASTS_MS = 30 * DAY_MS


def grant_to(
    peer: RotatedDevice, *, revoked: bool = False, used: bool = False, expires_at: int = NOON + LASTS_MS
) -> GrantFacts:
    """Return a grant that covers everything, from noon on, unless told otherwise."""
    return GrantFacts(revoked, peer.fingerprint, Mode.SYNCHRONIZE, None, used, NOON, TimeMs(expires_at))


def call_of(creator: RotatedDevice, target: RotatedDevice, purpose: Purpose = Purpose.AUTO) -> Call:
    return Call(
        creator.client, target.client, (target.client,), (), SessionKind.MESH, Mode.INVENTORY, None, purpose, 15
    )


def party(actor: RotatedDevice, peer: RotatedDevice) -> Party:
    """Return a device that agrees to everything with ``peer``."""
    return Party(
        actor.client,
        actor.fingerprint,
        None,
        {peer.client: peer.fingerprint},
        {peer.client: grant_to(peer)},
        COMPATIBLE,
        online=True,
    )


_times = st.integers(NOON - 40 * DAY_MS, NOON + 40 * DAY_MS).map(TimeMs)
_fingerprints = st.sampled_from([key.fingerprint for actor in (A, B, C, M) for key in (actor.key, actor.retired)])
_clients = st.sampled_from(sorted(BY_CLIENT))
_grants = st.builds(
    GrantFacts,
    revoked=st.booleans(),
    peer_key=_fingerprints,
    mode=st.sampled_from(Mode),
    profiles=st.none() | st.just(("photos",)),
    used=st.booleans(),
    not_before=_times,
    expires_at=_times,
)
_compatibility = st.builds(
    Compatibility,
    protocol=st.builds(ProtocolRange, st.integers(0, 4), st.integers(0, 4)),
    app=st.sampled_from(["muster", "other"]),
    modes=st.lists(st.sampled_from(Mode), min_size=1, unique=True).map(tuple),
)
_standings = st.sampled_from([None, Reason.DEVICE_REVOKED, Reason.CLONE_SUSPECTED])


def parties(client: ClientId) -> st.SearchStrategy[Party]:
    """Draw anything that a hub may say, or not say, of a device; true or not."""
    actor = BY_CLIENT[client]
    agreeing = [party(actor, peer) for peer in (A, B) if peer is not actor]
    return st.sampled_from([Party(client), Party(client, actor.fingerprint), *agreeing]) | st.builds(
        Party,
        st.just(client),
        fingerprint=st.none() | st.just(actor.fingerprint) | _fingerprints,
        standing=_standings,
        pins=st.none() | st.dictionaries(_clients, _fingerprints),
        grants=st.none() | st.dictionaries(_clients, _grants),
        compatibility=st.none() | _compatibility,
        online=st.none() | st.booleans(),
    )


def calls(creator: RotatedDevice, target: RotatedDevice) -> st.SearchStrategy[Call]:
    """Draw well-formed calls, and some that are not."""
    members = st.lists(st.sampled_from([C.client, M.client]), unique=True).map(tuple)
    targets = st.sampled_from([(target.client,), (target.client, C.client), (target.client,) * 2, ()])
    plain = st.sampled_from([call_of(creator, target, purpose) for purpose in Purpose])
    return plain | st.builds(
        Call,
        st.just(creator.client),
        st.just(target.client),
        targets,
        members,
        st.sampled_from(SessionKind),
        st.sampled_from(Mode),
        st.none() | st.sampled_from(["photos", "other"]),
        st.sampled_from(Purpose),
        st.integers(0, 15),
    )


@dataclass(frozen=True, slots=True)
class OwnStatements:
    """What a device keeps of its own statements about one peer: the newest of each thing, and the uses it spent."""

    trust: DurableStatement | None
    grant: DurableStatement | None
    spent: frozenset[DurableStatement]

    def party(self, actor: RotatedDevice, peer: RotatedDevice, expires_at: TimeMs) -> Party:
        trusts = self.trust is not None and self.trust.kind is Kind.TRUST
        grants: dict[ClientId, GrantFacts] = {}
        if self.grant is not None:
            granted = self.grant.kind is Kind.GRANT
            used = self.grant in self.spent
            grants[peer.client] = grant_to(peer, revoked=not granted, used=used, expires_at=expires_at)
        pins: dict[ClientId, Fingerprint] = {peer.client: peer.fingerprint} if trusts else {}
        return Party(actor.client, actor.fingerprint, None, pins, grants, COMPATIBLE)


def own_store(statements: Sequence[DurableStatement], spent: Sequence[DurableStatement] = ()) -> OwnStatements:
    state = merged(statements)
    return OwnStatements(state.get("trust"), state.get("grant"), frozenset(spent))
