"""This device's own decisions: `decide` over its data, when it calls and when it answers (SPEC.md section 6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from muster_client.device.session_request import SessionRequest
from muster_client.device.statements import Held
from muster_protocol.cards import Mode
from muster_protocol.decision import Call, Compatibility, Decision, GrantFacts, Party, decide
from muster_protocol.exchange import Invite
from muster_protocol.frames import MAX_MEMBERS
from muster_protocol.governance import Grant, Trust
from muster_protocol.ids import ClientId, Fingerprint, GrantId, TimeMs
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import read


@dataclass(frozen=True, slots=True)
class OwnFacts:
    """What this device knows: its pins, its grants, and what it and its peers can do."""

    client: ClientId
    fingerprint: Fingerprint
    pins: Mapping[ClientId, Fingerprint]
    grants: Mapping[ClientId, GrantFacts]
    compatibility: Compatibility
    peers: Mapping[ClientId, Compatibility]
    """What peers can do, by their verified cards."""


def pins_of(trusts: Sequence[Held]) -> dict[ClientId, Fingerprint]:
    """Return the peers that these statements trust, each with the fingerprint of its key."""
    return {held.peer: read(held.signed, Trust).peer_key for held in trusts if held.kind is Kind.TRUST}


def grants_of(statements: Sequence[Held], spent: frozenset[GrantId]) -> dict[ClientId, GrantFacts]:
    """Return the grant in these statements for each peer."""
    return {held.peer: _facts(held, spent) for held in statements}


def _facts(held: Held, spent: frozenset[GrantId]) -> GrantFacts:
    if held.kind is not Kind.GRANT:
        nothing = Fingerprint(b"")
        return GrantFacts(True, nothing, Mode.JOIN, None, False, TimeMs(0), TimeMs(0))  # noqa: FBT003 - revoked
    grant = read(held.signed, Grant)
    return GrantFacts(
        revoked=False,
        peer_key=grant.peer_key,
        mode=grant.mode,
        profiles=grant.profiles,
        used=grant.grant in spent,
        not_before=grant.not_before,
        expires_at=grant.expires_at,
    )


def decide_outgoing(
    own: OwnFacts,
    request: SessionRequest,
    target: ClientId,
    now: TimeMs,
    *,
    standing: Reason | None = None,
    members: Sequence[ClientId] = (),
) -> Decision:
    """Decide whether this device may call ``target``, as far as it can know.

    ``members``: who is in the session already, beside this device.
    """
    call = Call(
        creator=own.client,
        target=target,
        targets=request.targets,
        members=tuple(members),
        kind=request.kind,
        mode=request.mode,
        profile=request.profile,
        purpose=request.purpose,
        room=MAX_MEMBERS - 1 - len(members),
    )
    # A peer is expected under the key that was pinned: its answer must be signed by that one.
    known = {client: _expected(own, client) for client in (target, *members)}
    return decide(call, {**known, own.client: _myself(own, standing)}, now)


def decide_incoming(own: OwnFacts, invite: Invite, standing: Reason | None, now: TimeMs) -> Decision:
    """Decide whether this device may accept a verified invite, as far as it can know."""
    call = Call(
        creator=invite.sender,
        target=own.client,
        targets=(own.client,),
        members=(),
        kind=invite.kind,
        mode=invite.mode,
        profile=invite.profile,
        purpose=invite.purpose,
        room=MAX_MEMBERS - 1,
    )
    known = own.peers.get(invite.sender)
    compatibility = None if known is None else Compatibility(invite.protocol, known.app, known.modes)
    creator = Party(invite.sender, invite.sender_key, compatibility=compatibility)
    return decide(call, {own.client: _myself(own, standing), invite.sender: creator}, now)


def _myself(own: OwnFacts, standing: Reason | None) -> Party:
    return Party(own.client, own.fingerprint, standing, own.pins, own.grants, own.compatibility)


def _expected(own: OwnFacts, client: ClientId) -> Party:
    return Party(client, own.pins.get(client), compatibility=own.peers.get(client))
