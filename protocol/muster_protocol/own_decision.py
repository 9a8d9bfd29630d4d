"""A device's own decisions: ``decide`` over its store, when it calls, admits, answers or joins (SPEC.md section 6).

The machines of a session ask the store at the moment of each act, so what a device took back counts at once, whatever
the hub does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from msgspec.structs import replace

from muster_protocol.attended import Attended
from muster_protocol.cards import Mode
from muster_protocol.decision import Call, Compatibility, Decision, GrantFacts, Party, decide
from muster_protocol.exchange import CLOCK_SKEW_MS, Invite
from muster_protocol.frames import MAX_MEMBERS, Purpose, SessionKind
from muster_protocol.ids import ClientId, Fingerprint, InviteId, Serial, SessionId, TimeMs
from muster_protocol.reasons import Reason
from muster_protocol.serials import is_behind

NEVER = TimeMs(0)
"""Stands for the time of a device that never met a hub, and for the end of a grant that does not count."""


@dataclass(frozen=True, slots=True)
class OwnFacts:
    """What this device knows now: its pins, its grants, and what it and its peers can do."""

    client: ClientId
    fingerprint: Fingerprint
    pins: Mapping[ClientId, Fingerprint]
    trust: Mapping[ClientId, Serial]
    """The serial of the statement behind each pin."""
    grants: Mapping[ClientId, GrantFacts]
    spent_on: Mapping[ClientId, InviteId]
    """The invite on which the one use of the newest grant to a peer was spent."""
    compatibility: Compatibility
    peers: Mapping[ClientId, Compatibility]
    """What peers can do, by their verified cards."""
    standing: Reason | None = None
    """What the hub holds against this device, by the hub's word."""
    reached: TimeMs = NEVER
    """The latest time that both this device's clock and a verified ``welcome`` had reached (SPEC.md section 2.4)."""


class OwnStore(Protocol):
    """The device's data, read again for each act."""

    def facts(self) -> OwnFacts:
        """Return what the device knows now."""
        ...

    def attended(self, session: SessionId) -> Attended | None:
        """Return what the device stored of a session that it joined, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Intent:
    """The session into which a device calls: all targets called together, and the members beside this device."""

    targets: tuple[ClientId, ...]
    members: tuple[ClientId, ...]
    kind: SessionKind
    mode: Mode
    profile: str | None
    purpose: Purpose


def decide_outgoing(
    own: OwnFacts, intent: Intent, target: ClientId, now: TimeMs, *, key: Fingerprint | None = None
) -> Decision:
    """Decide whether this device may call or admit ``target``, as far as it can know.

    ``key`` is the key by which the target's answer is verified; without one, it is the pinned key.
    """
    call = Call(
        creator=own.client,
        target=target,
        targets=intent.targets,
        members=intent.members,
        kind=intent.kind,
        mode=intent.mode,
        profile=intent.profile,
        purpose=intent.purpose,
        room=MAX_MEMBERS - 1 - len(intent.members),
    )
    known = {client: _expected(own, client, None) for client in intent.members}
    known |= {target: _expected(own, target, key), own.client: _myself(own, own.grants, now)}
    return decide(call, known, now)


def decide_incoming(own: OwnFacts, invite: Invite, now: TimeMs) -> Decision:
    """Decide whether this device may accept a verified invite, or join by it, as far as it can know.

    A grant whose one use was spent on this invite covers it; one that began long after it does not.
    """
    call = Call(
        creator=invite.sender,
        target=own.client,
        targets=(own.client,),
        members=None,
        kind=invite.kind,
        mode=invite.mode,
        profile=invite.profile,
        purpose=invite.purpose,
        room=MAX_MEMBERS - 1,
    )
    known = own.peers.get(invite.sender)
    compatibility = None if known is None else Compatibility(invite.protocol, known.app, known.modes)
    creator = Party(invite.sender, invite.sender_key, compatibility=compatibility)
    return decide(call, {own.client: _myself(own, _grants_for(own, invite), now), invite.sender: creator}, now)


def why_not_kept(own: OwnFacts, member: ClientId, key: Fingerprint, trust: Serial | None) -> Reason | None:
    """Return the reason for which this device seals nothing more to a member with this key, or None.

    ``trust`` is of the statement by which it was called: one that is trusted by another was not trusted in between.
    """
    pin = own.pins.get(member)
    if pin is not None and pin != key:
        return Reason.KEY_MISMATCH
    return None if pin is not None and own.trust.get(member) == trust else Reason.NOT_TRUSTED


def _grants_for(own: OwnFacts, invite: Invite) -> Mapping[ClientId, GrantFacts]:
    grant = own.grants.get(invite.sender)
    if grant is None:
        return own.grants
    if own.spent_on.get(invite.sender) == invite.invite:
        grant = replace(grant, used=False)
    if invite.at < grant.not_before - CLOCK_SKEW_MS:
        grant = replace(grant, expires_at=NEVER)
    return {**own.grants, invite.sender: grant}


def _myself(own: OwnFacts, grants: Mapping[ClientId, GrantFacts], now: TimeMs) -> Party:
    return Party(
        client=own.client,
        fingerprint=own.fingerprint,
        standing=own.standing,
        pins=own.pins,
        grants=grants,
        compatibility=own.compatibility,
        clock_behind=is_behind(now, own.reached),
    )


def _expected(own: OwnFacts, client: ClientId, key: Fingerprint | None) -> Party:
    return Party(client, key or own.pins.get(client), compatibility=own.peers.get(client))
