"""Whether one device may call another: one pure function for all who ask (SPEC.md section 6).

The hub runs it over what its store holds, a device over its own data. What the decider cannot know is None and passes
unchecked: the other side checks it, and the strictest wins.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from msgspec import Struct

from muster_protocol.cards import Mode, ProtocolRange
from muster_protocol.frames import Check, Purpose, SessionKind, TraceStep
from muster_protocol.ids import ClientId, Fingerprint, TimeMs
from muster_protocol.reasons import Reason


class GrantFacts(Struct, frozen=True):
    """The newest that one device said about automatic joins with another.

    ``used``: its one use is spent, or held by another join. Where ``revoked``, nothing else counts.
    """

    revoked: bool
    peer_key: Fingerprint
    mode: Mode
    profiles: tuple[str, ...] | None
    used: bool
    not_before: TimeMs
    expires_at: TimeMs


class Compatibility(Struct, frozen=True):
    """What a device's card says it can do."""

    protocol: ProtocolRange
    app: str
    modes: tuple[Mode, ...]


class Party(Struct, frozen=True):
    """What the decider knows of one device. None, anywhere: it cannot know.

    ``standing`` is what is known against the device; None passes. ``clock_behind``: its clock went back, so its grants
    do not count; only the device itself knows.
    """

    client: ClientId
    fingerprint: Fingerprint | None = None
    standing: Reason | None = None
    pins: Mapping[ClientId, Fingerprint] | None = None
    grants: Mapping[ClientId, GrantFacts] | None = None
    compatibility: Compatibility | None = None
    online: bool | None = None
    clock_behind: bool = False


class Call(Struct, frozen=True):
    """What is asked: may ``creator`` call ``target``, one of ``targets``, into a session with these members.

    ``room`` is how many devices the session can still take. ``members`` names neither creator nor target; None: the
    decider cannot know them.
    """

    creator: ClientId
    target: ClientId
    targets: tuple[ClientId, ...]
    members: tuple[ClientId, ...] | None
    kind: SessionKind
    mode: Mode
    profile: str | None
    purpose: Purpose
    room: int


class Decision(Struct, frozen=True):
    """The answer: ``reason`` None is yes. ``trace`` has every check in order."""

    reason: Reason | None
    trace: tuple[TraceStep, ...]


@dataclass(frozen=True, slots=True)
class _Unknown:
    """A check that this decider cannot make."""


_PASSED = {check: TraceStep(check, passed=True) for check in Check}
_UNTOLD = {check: TraceStep(check, passed=None) for check in Check}
_NOT_REACHED = {check: tuple(_UNTOLD.values())[place:] for place, check in enumerate(Check, start=1)}
_UNKNOWN = _Unknown()
_Outcome = Reason | _Unknown | None


def must_trust_each_other(kind: SessionKind, creator: ClientId, one: ClientId, other: ClientId) -> bool:
    """Return whether two members of a session must trust each other (SPEC.md section 1).

    In a mesh any two must; in a star the creator and each other member.
    """
    return kind is SessionKind.MESH or creator in (one, other)


def decide(call: Call, parties: Mapping[ClientId, Party], now: TimeMs) -> Decision:
    """Judge ``call`` over what is known of each party; a device missing from ``parties`` pins no device.

    ``now`` is the decider's clock, for the times of grants.
    """
    trace: list[TraceStep] = []
    for check, outcome in _outcomes(call, parties, now):
        if isinstance(outcome, Reason):
            # What is behind the first failure is not even looked at.
            return Decision(outcome, (*trace, TraceStep(check, passed=False), *_NOT_REACHED[check]))
        trace.append(_PASSED[check] if outcome is None else _UNTOLD[check])
    return Decision(None, tuple(trace))


def _outcomes(call: Call, parties: Mapping[ClientId, Party], now: TimeMs) -> Iterator[tuple[Check, _Outcome]]:
    creator = parties.get(call.creator, _stranger(call.creator))
    target = parties.get(call.target, _stranger(call.target))
    members = [
        parties.get(member, _stranger(member))
        for member in call.members or ()
        if must_trust_each_other(call.kind, call.creator, call.target, member)
    ]
    yield Check.REQUEST, _request(call)
    yield Check.CREATOR_STANDING, _standing(call, creator)
    yield Check.TRUST, _trust(creator, target)
    yield Check.KEYS, _keys(creator, target)
    yield Check.MESH, _mesh(call, target, members)
    yield Check.TARGET_STANDING, _standing(call, target)
    yield Check.CREATOR_GRANT, _grant(call, creator, target, now)
    yield Check.TARGET_GRANT, _grant(call, target, creator, now)
    yield Check.PROTOCOL, _protocol(creator, target)
    yield Check.APP, _app(creator, target)
    yield Check.MODE, _mode(call, target)
    yield Check.PRESENCE, _presence(target)


def _stranger(client: ClientId) -> Party:
    return Party(client, pins={}, grants={}, online=False)


def _request(call: Call) -> _Outcome:
    if not call.targets:
        return Reason.EMPTY_TARGETS
    if call.target == call.creator:
        return Reason.SELF_TARGET
    if call.targets.count(call.target) > 1:
        return Reason.DUPLICATE_TARGET
    return Reason.TOO_MANY_TARGETS if len(call.targets) > call.room else None


def _standing(call: Call, party: Party) -> _Outcome:
    # A suspected clone may still be asked by hand: only what happens without a person is suspended.
    if party.standing is Reason.CLONE_SUSPECTED and call.purpose is not Purpose.AUTO:
        return None
    return party.standing


def _trust(creator: Party, target: Party) -> _Outcome:
    if creator.pins is not None and target.client not in creator.pins:
        return Reason.NOT_TRUSTED
    if target.pins is not None and creator.client not in target.pins:
        return Reason.NOT_MUTUALLY_TRUSTED
    return _UNKNOWN if creator.pins is None and target.pins is None else None


def _keys(one: Party, other: Party) -> _Outcome:
    pairs = [_pinned(one, other), _pinned(other, one)]
    if False in pairs:
        return Reason.KEY_MISMATCH
    return None if True in pairs else _UNKNOWN


def _pinned(holder: Party, peer: Party) -> bool | None:
    if holder.pins is None or peer.fingerprint is None:
        return None
    return holder.pins.get(peer.client) == peer.fingerprint


def _mesh(call: Call, target: Party, members: list[Party]) -> _Outcome:
    if call.kind is SessionKind.MESH and call.members is None:
        return _UNKNOWN
    outcomes = [outcome for member in members for outcome in (_pairwise(target, member), _keys(target, member))]
    reasons = [outcome for outcome in outcomes if isinstance(outcome, Reason)]
    if reasons:
        return reasons[0]
    return _UNKNOWN if outcomes and None not in outcomes else None


def _pairwise(target: Party, member: Party) -> _Outcome:
    for one, other in ((target, member), (member, target)):
        if one.pins is not None and other.client not in one.pins:
            return Reason.NOT_MUTUALLY_TRUSTED
    return _UNKNOWN if target.pins is None and member.pins is None else None


def _grant(call: Call, giver: Party, peer: Party, now: TimeMs) -> _Outcome:
    if call.purpose is not Purpose.AUTO:
        return None
    if giver.grants is None:
        return _UNKNOWN
    grant = giver.grants.get(peer.client)
    return Reason.GRANT_MISSING if grant is None else _counts(call, giver, peer, grant, now)


def _counts(call: Call, giver: Party, peer: Party, grant: GrantFacts, now: TimeMs) -> _Outcome:
    if grant.revoked:
        return Reason.GRANT_REVOKED
    # By a clock that went back, a grant that ran out would count again.
    if giver.clock_behind:
        return Reason.CLOCK_BEHIND
    # A grant names the key that it was given to: once that key is retired, it has lapsed.
    if peer.fingerprint is not None and grant.peer_key != peer.fingerprint:
        return Reason.GRANT_MISSING
    return _covers(call, grant, now)


def _covers(call: Call, grant: GrantFacts, now: TimeMs) -> _Outcome:
    if not grant.not_before <= now < grant.expires_at:
        return Reason.GRANT_EXPIRED
    if grant.used:
        return Reason.GRANT_USED
    if not grant.mode.covers(call.mode):
        return Reason.MODE_NOT_GRANTED
    covered = grant.profiles is None or call.profile in grant.profiles
    return None if covered else Reason.PROFILE_NOT_GRANTED


def _protocol(creator: Party, target: Party) -> _Outcome:
    if creator.compatibility is None or target.compatibility is None:
        return _UNKNOWN
    common = creator.compatibility.protocol.highest_common(target.compatibility.protocol)
    return Reason.INCOMPATIBLE_PROTOCOL if common is None else None


def _app(creator: Party, target: Party) -> _Outcome:
    if creator.compatibility is None or target.compatibility is None:
        return _UNKNOWN
    return None if creator.compatibility.app == target.compatibility.app else Reason.INCOMPATIBLE_APP


def _mode(call: Call, target: Party) -> _Outcome:
    if target.compatibility is None:
        return _UNKNOWN
    return None if call.mode in target.compatibility.modes else Reason.MODE_UNSUPPORTED


def _presence(target: Party) -> _Outcome:
    if target.online is None:
        return _UNKNOWN
    return None if target.online else Reason.OFFLINE
