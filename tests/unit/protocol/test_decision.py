"""The decision: one row for each reason, and that what fails first hides what is behind it."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import msgpack
from msgspec.structs import replace

from muster_protocol.cards import Mode, ProtocolRange
from muster_protocol.decision import Call, Compatibility, Decision, GrantFacts, Party, decide
from muster_protocol.errors import Refused
from muster_protocol.frames import Check, DecisionReply, Purpose, SessionKind, TraceStep, decode_frame
from muster_protocol.ids import ClientId, Fingerprint, TimeMs
from muster_protocol.reasons import Reason

NOW = TimeMs(1_000_000)
CREATOR, TARGET, MEMBER, OTHER = (ClientId(letter * 32) for letter in "ctmo")
KEYS = {client: Fingerprint(client.encode()) for client in (CREATOR, TARGET, MEMBER, OTHER)}
OLD_KEY = Fingerprint(b"old" + bytes(29))
CALL = Call(CREATOR, TARGET, (TARGET,), (MEMBER,), SessionKind.MESH, Mode.INVENTORY, "photos", Purpose.AUTO, room=15)
Facts = dict[ClientId, Party]
Change = Callable[[Facts], object]


def _grant(peer: ClientId, **changes: Any) -> GrantFacts:
    grant = GrantFacts(False, KEYS[peer], Mode.INVENTORY, ("photos",), False, TimeMs(NOW - 1), TimeMs(NOW + 1))
    return replace(grant, **changes)


def _facts() -> Facts:
    """Return facts under which every check passes."""
    clients = (CREATOR, TARGET, MEMBER)
    return {
        client: Party(
            client,
            KEYS[client],
            None,
            {peer: KEYS[peer] for peer in clients},
            {peer: _grant(peer) for peer in clients},
            Compatibility(ProtocolRange(1, 2), "muster", (Mode.JOIN, Mode.INVENTORY)),
            online=True,
        )
        for client in clients
    }


def _set(client: ClientId, **changes: Any) -> Change:
    return lambda facts: facts.update({client: replace(facts[client], **changes)})


def _unpin(holder: ClientId, peer: ClientId) -> Change:
    def change(facts: Facts) -> None:
        pins = {client: pin for client, pin in (facts[holder].pins or {}).items() if client != peer}
        facts[holder] = replace(facts[holder], pins=pins)

    return change


def _pin_old(holder: ClientId, peer: ClientId) -> Change:
    return lambda facts: facts.update(
        {holder: replace(facts[holder], pins={**(facts[holder].pins or {}), peer: OLD_KEY})}
    )


def _granting(giver: ClientId, peer: ClientId, **changes: Any) -> Change:
    return _set(giver, grants={peer: _grant(peer, **changes)})


def _able(client: ClientId, low: int, high: int, app: str, *modes: Mode) -> Change:
    return _set(client, compatibility=Compatibility(ProtocolRange(low, high), app, modes))


# Which check fails, the reason it gives, and what in the call or the facts is wrong.
CALLS = [
    (Check.REQUEST, Reason.EMPTY_TARGETS, replace(CALL, targets=())),
    (Check.REQUEST, Reason.SELF_TARGET, replace(CALL, target=CREATOR, targets=(CREATOR,))),
    (Check.REQUEST, Reason.DUPLICATE_TARGET, replace(CALL, targets=(TARGET, OTHER, TARGET))),
    (Check.REQUEST, Reason.TOO_MANY_TARGETS, replace(CALL, targets=(TARGET, OTHER), room=1)),
    (Check.TARGET_STANDING, None, replace(CALL, purpose=Purpose.ASK)),
    (Check.CREATOR_GRANT, Reason.MODE_NOT_GRANTED, replace(CALL, mode=Mode.SYNCHRONIZE)),
    (Check.CREATOR_GRANT, Reason.PROFILE_NOT_GRANTED, replace(CALL, profile="music")),
    (Check.CREATOR_GRANT, Reason.PROFILE_NOT_GRANTED, replace(CALL, profile=None)),
]
FACTS: list[tuple[Check, Reason, Change]] = [
    (Check.CREATOR_STANDING, Reason.DEVICE_REVOKED, _set(CREATOR, standing=Reason.DEVICE_REVOKED)),
    (Check.CREATOR_STANDING, Reason.CLONE_SUSPECTED, _set(CREATOR, standing=Reason.CLONE_SUSPECTED)),
    (Check.TRUST, Reason.NOT_TRUSTED, _unpin(CREATOR, TARGET)),
    (Check.TRUST, Reason.NOT_MUTUALLY_TRUSTED, _unpin(TARGET, CREATOR)),
    (Check.TRUST, Reason.NOT_MUTUALLY_TRUSTED, lambda facts: facts.pop(TARGET)),
    (Check.KEYS, Reason.KEY_MISMATCH, _pin_old(CREATOR, TARGET)),
    (Check.KEYS, Reason.KEY_MISMATCH, _pin_old(TARGET, CREATOR)),
    (Check.MESH, Reason.NOT_MUTUALLY_TRUSTED, _unpin(TARGET, MEMBER)),
    (Check.MESH, Reason.NOT_MUTUALLY_TRUSTED, _unpin(MEMBER, TARGET)),
    (Check.MESH, Reason.NOT_MUTUALLY_TRUSTED, lambda facts: facts.pop(MEMBER)),
    (Check.MESH, Reason.KEY_MISMATCH, _pin_old(TARGET, MEMBER)),
    (Check.MESH, Reason.KEY_MISMATCH, _pin_old(MEMBER, TARGET)),
    (Check.TARGET_STANDING, Reason.DEVICE_REVOKED, _set(TARGET, standing=Reason.DEVICE_REVOKED)),
    (Check.TARGET_STANDING, Reason.CLONE_SUSPECTED, _set(TARGET, standing=Reason.CLONE_SUSPECTED)),
    *[
        (check, reason, change)
        for check, giver, peer in ((Check.CREATOR_GRANT, CREATOR, TARGET), (Check.TARGET_GRANT, TARGET, CREATOR))
        for reason, change in (
            (Reason.GRANT_MISSING, _set(giver, grants={})),
            (Reason.GRANT_MISSING, _granting(giver, peer, peer_key=OLD_KEY)),
            (Reason.GRANT_REVOKED, _granting(giver, peer, revoked=True)),
            (Reason.CLOCK_BEHIND, _set(giver, clock_behind=True)),
            (Reason.GRANT_EXPIRED, _granting(giver, peer, expires_at=NOW)),
            (Reason.GRANT_EXPIRED, _granting(giver, peer, not_before=NOW + 1)),
            (Reason.GRANT_USED, _granting(giver, peer, used=True)),
            (Reason.MODE_NOT_GRANTED, _granting(giver, peer, mode=Mode.JOIN)),
            (Reason.PROFILE_NOT_GRANTED, _granting(giver, peer, profiles=("music",))),
        )
    ],
    (Check.PROTOCOL, Reason.INCOMPATIBLE_PROTOCOL, _able(TARGET, 3, 4, "muster", Mode.INVENTORY)),
    (Check.APP, Reason.INCOMPATIBLE_APP, _able(TARGET, 1, 1, "other", Mode.INVENTORY)),
    (Check.MODE, Reason.MODE_UNSUPPORTED, _able(TARGET, 1, 1, "muster", Mode.JOIN)),
    (Check.PRESENCE, Reason.OFFLINE, _set(TARGET, online=False)),
]


def _passed(decision: Decision) -> dict[Check, bool | None]:
    return {step.check: step.passed for step in decision.trace}


def test_all_is_well() -> None:
    decision = decide(CALL, _facts(), NOW)
    assert decision.reason is None
    assert _passed(decision) == dict.fromkeys(Check, True)


@pytest.mark.parametrize(("check", "reason", "call"), CALLS)
def test_a_call(check: Check, reason: Reason | None, call: Call) -> None:
    decision = decide(call, _facts(), NOW)
    assert decision.reason is reason
    assert _passed(decision)[check] == (reason is None)


@pytest.mark.parametrize(("check", "reason", "change"), FACTS)
def test_a_fact(check: Check, reason: Reason, change: Change) -> None:
    change(facts := _facts())
    decision = decide(CALL, facts, NOW)
    assert decision.reason is reason
    passed, at = _passed(decision), list(Check).index(check)
    assert list(passed) == list(Check)
    assert list(passed.values()) == [True] * at + [False] + [None] * (len(Check) - at - 1)


@pytest.mark.parametrize("first", range(len(FACTS)))
def test_what_fails_first_hides_what_is_behind_it(first: int) -> None:
    check, reason, change = FACTS[first]
    alone = _facts()
    change(alone)
    expected = decide(CALL, alone, NOW)
    for later, _, other in FACTS:
        if list(Check).index(later) <= list(Check).index(check) or (CREATOR not in alone or TARGET not in alone):
            continue
        both = _facts()
        other(both)
        if MEMBER in both or check is not Check.MESH:
            change(both)
            assert decide(CALL, both, NOW) == expected
    assert expected.reason is reason


def test_the_table_has_every_reason_that_a_decision_gives() -> None:
    given = {reason for _, reason, _ in FACTS} | {reason for _, reason, _ in CALLS if reason is not None}
    first, last = list(Reason).index(Reason.EMPTY_TARGETS), list(Reason).index(Reason.OFFLINE)
    elsewhere = {Reason.TOO_LARGE, Reason.RATE_LIMITED, Reason.UNSUPPORTED, Reason.CLOCK_AHEAD, Reason.UNKNOWN_CLIENT}
    assert given == set(list(Reason)[first : last + 1]) - elsewhere


def test_asking_a_person_needs_no_grant() -> None:
    facts = _facts()
    _set(CREATOR, grants={})(facts)
    _set(TARGET, grants={}, standing=Reason.CLONE_SUSPECTED)(facts)
    assert decide(replace(CALL, purpose=Purpose.ASK), facts, NOW).reason is None
    _set(TARGET, standing=Reason.DEVICE_REVOKED)(facts)
    assert decide(replace(CALL, purpose=Purpose.ASK), facts, NOW).reason is Reason.DEVICE_REVOKED


def test_a_star_does_not_ask_about_members() -> None:
    facts = _facts()
    _unpin(TARGET, MEMBER)(facts)
    assert decide(replace(CALL, kind=SessionKind.STAR), facts, NOW).reason is None


def test_what_cannot_be_known_passes_and_is_reported_as_unknown() -> None:
    facts = {CREATOR: Party(CREATOR, KEYS[CREATOR]), TARGET: Party(TARGET)}
    decision = decide(replace(CALL, members=()), facts, NOW)
    assert decision.reason is None
    unknown = {check for check, passed in _passed(decision).items() if passed is None}
    grants, both = {Check.CREATOR_GRANT, Check.TARGET_GRANT}, {Check.PROTOCOL, Check.APP, Check.MODE, Check.PRESENCE}
    assert unknown == {Check.TRUST, Check.KEYS} | grants | both


def test_a_mesh_of_which_nothing_is_known_is_said_to_be_unknown() -> None:
    facts = {client: Party(client, KEYS[client]) for client in (CREATOR, TARGET, MEMBER)}
    for kind, members, passed in (
        (SessionKind.MESH, (MEMBER,), None),
        (SessionKind.MESH, None, None),
        (SessionKind.MESH, (), True),
        (SessionKind.STAR, (MEMBER,), True),
        (SessionKind.STAR, None, True),
    ):
        decision = decide(replace(CALL, kind=kind, members=members), facts, NOW)
        assert (decision.reason, _passed(decision)[Check.MESH]) == (None, passed)


def test_a_revoked_grant_is_revoked_whatever_else_is_wrong_with_it() -> None:
    facts = _facts()
    _granting(TARGET, CREATOR, revoked=True, used=True, expires_at=TimeMs(0), mode=Mode.JOIN, peer_key=OLD_KEY)(facts)
    assert decide(CALL, facts, NOW).reason is Reason.GRANT_REVOKED


def test_a_trace_names_only_the_checks_of_the_table() -> None:
    fields = {"t": "decision", "re": 1, "reason": None}
    reply = decode_frame(msgpack.encode(fields | {"trace": [["trust", True]]}))
    assert isinstance(reply, DecisionReply)
    assert reply.trace == (TraceStep(Check.TRUST, passed=True),)
    with pytest.raises(Refused) as caught:
        decode_frame(msgpack.encode(fields | {"trace": [["trust\x1b[2J", True]]}))
    assert caught.value.reason is Reason.MALFORMED
