"""Joins under a hub that is the attacker: what both sides agree on, who can read, and who may be in a session."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.own_store import full_grant
from tests.property.attacker import INSIDER_AND_RETIRED, Act, AttackedWorld, Step, hub_words, schedules, schedules_of
from tests.property.cast import BY_CLIENT, DAY_MS, PINS, A, B, C, E, M, RotatedDevice, epoch_key, receive_key
from tests.property.devices import Message, Opened

from muster_protocol.calls import TargetState
from muster_protocol.epochs import Epoch, epoch_hash
from muster_protocol.errors import Refused
from muster_protocol.exchange import Admission, admission_info, epoch_info, hash_of
from muster_protocol.frames import SessionKind
from muster_protocol.ids import ClientId, SessionId
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason, Sayer
from muster_protocol.signed import read

kinds = st.sampled_from(SessionKind)
HONESTLY: list[Step] = [(Act.HONEST, 0, 0, 0)] * 60
HONEST_TARGETS = (B, C)


def _opened(world: AttackedWorld, actor: RotatedDevice) -> list[Opened]:
    return world.devices[actor.client].opened


@given(kinds)
@settings(max_examples=2)
def test_without_an_attack_everybody_joins(kind: SessionKind) -> None:
    """The attacker's keys lie idle. If this fails, the properties below would hold of nothing."""
    world = AttackedWorld(kind).play(HONESTLY)
    assert {target.state for target in world.creator.machine.targets.values()} == {TargetState.JOINED}
    assert {heard.joined.epoch for heard in world.creator.heard} >= {world.creator.machine.epoch.hash}
    for actor in (B, C, M):
        assert _opened(world, actor)[-1].epoch.hash == world.creator.machine.epoch.hash


def _check_agreement(world: AttackedWorld) -> None:
    creator = world.creator
    for heard in creator.heard:
        if heard.client == M.client:
            continue
        epoch, key = creator.keys[heard.joined.epoch]
        actor = BY_CLIENT[heard.client]
        own = [opened for opened in _opened(world, actor) if opened.epoch.hash == heard.joined.epoch]
        assert own, "joined was heard from a device that did not open this epoch"
        for opened in own:
            assert opened.key == key
            assert opened.epoch.epoch == epoch
            assert opened.invite in creator.invited.values()
            assert (opened.invite.recipient, opened.invite.recipient_key) == (actor.client, actor.fingerprint)
            assert epoch.key_of(actor.client) == actor.fingerprint
        if heard.version is not None:
            assert {opened.machine.version for opened in own} == {heard.version}
    for opened in _opened(world, B) + _opened(world, C):
        if opened.admission is not None and opened.invite.sender == A.client:
            assert opened.admission in creator.admitted.values()
            assert opened.admission.answer_hash == opened.answer


@given(kinds, schedules)
def test_p01_agreement(kind: SessionKind, steps: list[Step]) -> None:
    """The attacker holds the insider M's key, the stranger E's, and all retired keys; A, B and C are honest."""
    _check_agreement(AttackedWorld(kind).play(steps))


def test_p01_agreement_with_a_member_who_missed_a_key() -> None:
    """The attacker shows members the epochs and keeps the keys from them; no device is reported where it is not."""
    called_again: list[Step] = [*HONESTLY, (Act.CALL, 0, 0, 0)] * 2
    for wait in range(6):
        _check_agreement(
            AttackedWorld(SessionKind.MESH).play([*called_again, *HONESTLY[:wait], (Act.SKIP, 0, 0, 0), *HONESTLY])
        )


_skews = st.fixed_dictionaries({actor.client: st.integers(-DAY_MS, DAY_MS) for actor in (A, B, C, M)})


@pytest.mark.slow
@given(kinds, _skews)
@settings(max_examples=20)
def test_p25_clocks_change_no_honest_join(kind: SessionKind, skews: dict[ClientId, int]) -> None:
    """No attack, and every clock up to a day wrong: all join as if they were right."""
    world = AttackedWorld(kind, skews=skews).play(HONESTLY)
    assert {target.state for target in world.creator.machine.targets.values()} == {TargetState.JOINED}


@pytest.mark.slow
@given(kinds, schedules, _skews)
@settings(max_examples=50)
def test_p25_clocks_change_no_security(kind: SessionKind, steps: list[Step], skews: dict[ClientId, int]) -> None:
    """The attacker holds M's and E's keys and all retired ones, and every clock is up to a day wrong.

    What is decided is what it would have been with right clocks: the same schedule leads to the same statements.
    """
    world, right = AttackedWorld(kind, skews=skews).play(steps), AttackedWorld(kind).play(steps)
    _check_agreement(world)
    assert [heard.client for heard in world.creator.heard] == [heard.client for heard in right.creator.heard]
    assert world.creator.machine.targets.keys() == right.creator.machine.targets.keys()
    for client, target in world.creator.machine.targets.items():
        other = right.creator.machine.targets[client]
        assert (target.state, target.reason, target.sayer) == (other.state, other.reason, other.sayer)


def _epochs_of_a(messages: list[Message]) -> list[Epoch]:
    """Return the epochs that A signed, alone or in an admission."""
    found = [message for message in messages if message.signed.signer == A.fingerprint]
    alone = [message.signed for message in found if message.kind is Kind.EPOCH]
    carried = [read(message.signed, Admission).epoch for message in found if message.kind is Kind.ADMISSION]
    return [read(epoch, Epoch) for epoch in (*alone, *carried)]


def _after_b_and_c_joined(kind: SessionKind, steps: list[Step]) -> list[Epoch]:
    """Return the epochs that A makes when it calls M into its session with B and C, when the hub does as it likes."""
    world = AttackedWorld(kind, called=HONEST_TARGETS).play(HONESTLY)
    assert all(world.creator.machine.has_joined(actor.client) for actor in HONEST_TARGETS)
    made = len(world.wire)
    for part in (steps[:10], steps[10:]):
        world.call(M).play(part)
    return _epochs_of_a(world.wire[made:])


def test_a_member_is_kept_when_another_comes() -> None:
    (epoch, *_) = _after_b_and_c_joined(SessionKind.MESH, HONESTLY)
    assert set(epoch.clients) == {A.client, B.client, C.client, M.client}


@given(kinds, schedules_of(hub_words))
def test_no_hub_evicts_a_member(kind: SessionKind, steps: list[Step]) -> None:
    """The attacker holds the insider M's key, the stranger E's, and all retired keys. B and C do nothing by themselves.

    Each epoch that A makes has both, also when the hub denies them and refuses the epochs that have them.
    """
    for epoch in _after_b_and_c_joined(kind, steps):
        assert {B.client, C.client} <= set(epoch.clients)


@given(kinds, schedules)
def test_p02_injectivity(kind: SessionKind, steps: list[Step]) -> None:
    """The attacker holds the insider M's key, the stranger E's, and all retired keys.

    An admission that the hub is said to have rejected does not count: A forgets it and its epoch.
    """
    creator = (world := AttackedWorld(kind).play(steps)).creator
    invites = [invite for invite, _ in creator.accepted]
    assert len(invites) == len(set(invites)), "two answers to one invite"
    counted = [creator.admitted[admission] for admission in creator.counted]
    assert len({admission.invite for admission in counted}) == len(counted), "two admissions to one invite"
    for actor in HONEST_TARGETS:
        answers = [opened.answer for opened in _opened(world, actor) if opened.admission is not None]
        assert len(answers) == len(set(answers)), "two keys opened for one answer"


def _sealed_on_the_wire(world: AttackedWorld) -> list[tuple[Epoch, bytes, bytes]]:
    """Return every key that A sealed: the epoch, the sealed bytes, and the HPKE info that belongs to them."""
    found: list[tuple[Epoch, bytes, bytes]] = []
    for message in world.wire:
        if message.signed.signer != A.fingerprint:
            continue
        if message.kind is Kind.ADMISSION:
            body = read(message.signed, Admission)
            info = admission_info(body.invite_hash, body.answer_hash, epoch_hash(body.epoch))
            found.append((read(body.epoch, Epoch), body.sealed, info))
        elif message.kind is Kind.EPOCH and message.sealed:
            epoch = read(message.signed, Epoch)
            found += [(epoch, message.sealed, epoch_info(epoch_hash(message.signed), to)) for to in epoch.clients]
    return found


POSED: list[Step] = [(Act.POSE, 0, 0, 0), *HONESTLY]
"""Answers in the honest devices' names are there before their own."""


@pytest.mark.slow
@given(kinds, schedules, st.sampled_from([(B, C), (B, C, M)]))
@example(SessionKind.STAR, POSED, (B, C))
@settings(max_examples=40)
def test_p03_secrecy(kind: SessionKind, steps: list[Step], called: tuple[RotatedDevice, ...]) -> None:
    """The attacker holds M's and E's keys and all retired keys; afterwards all long-term keys are revealed.

    Long-term keys only sign, so what can open anything is a receive key: each that anybody ever made is tried on all
    that was sealed, those that the attacker put into forged answers included. An epoch that lists M is M's to read,
    and to give to E.
    """
    world = AttackedWorld(kind, called=called).play(steps)
    for epoch, sealed, info in _sealed_on_the_wire(world):
        for number, owner in enumerate(world.fresh.owners):
            try:
                receive_key(number).open(sealed, info)
            except Refused:
                continue
            reader = M if owner is E else owner
            assert epoch.key_of(reader.client) == reader.fingerprint, "opened by one who is not listed"
    wire = b"".join(message.signed.body + message.sealed for message in world.wire)
    assert not any(bytes(epoch_key(number)) in wire for number in range(world.fresh.epoch_keys + 1))


@given(kinds, schedules)
def test_no_admission_brings_a_device_back(kind: SessionKind, steps: list[Step]) -> None:
    """The attacker holds A's own identity key too, with M's, E's and all retired ones, but not B's or C's.

    A session stays what it was when a device joined it first, and each admission is to a newer epoch than all before.
    """
    world = AttackedWorld(kind, (A.key, *INSIDER_AND_RETIRED)).play(steps)
    for actor in HONEST_TARGETS:
        newest: dict[SessionId, int] = {}
        facts: dict[SessionId, set[tuple[object, ...]]] = {}
        for opened in _opened(world, actor):
            invite, number = opened.invite, opened.epoch.epoch.number
            assert opened.admission is None or number > newest.get(invite.session, 0)
            newest[invite.session] = number
            facts.setdefault(invite.session, set()).add((invite.kind, invite.mode, invite.profile, invite.sender_key))
        assert all(len(found) == 1 for found in facts.values())


@given(kinds, schedules)
@example(SessionKind.STAR, POSED)
def test_p06_key_compromise(kind: SessionKind, steps: list[Step]) -> None:
    """The attacker holds A's own identity key too, with M's, E's and all retired ones, but not B's or C's."""
    world = AttackedWorld(kind, (A.key, *INSIDER_AND_RETIRED)).play(steps)
    said = {
        (actor.client, hash_of(Kind.ANSWER, message.signed))
        for message in world.wire
        for actor in HONEST_TARGETS
        if message.kind is Kind.ANSWER and message.signed.signer == actor.fingerprint
    }
    for invite, answer in world.creator.accepted:
        target = world.creator.invited[invite].recipient
        assert target == M.client or (target, answer) in said
    for heard in world.creator.heard:
        if heard.client != M.client:
            assert heard.joined.epoch in {opened.epoch.hash for opened in _opened(world, BY_CLIENT[heard.client])}


@given(kinds, schedules, schedules, st.sampled_from([B, C, M]), st.booleans())
def test_own_word_of_the_creator(
    kind: SessionKind, before: list[Step], after: list[Step], peer: RotatedDevice, rotated: bool
) -> None:
    """The hub withholds what A took back; A seals no later epoch to that peer. The attacker's keys are as above."""
    world = AttackedWorld(kind).play(before)
    made = len(world.wire)
    if rotated:
        world.creator.store.pins[peer.client] = peer.retired.fingerprint
    else:
        del world.creator.store.pins[peer.client]
    world.play(after)
    for message in world.wire[made:]:
        if message.signed.signer == A.fingerprint and message.kind in {Kind.ADMISSION, Kind.EPOCH}:
            signed = message.signed if message.kind is Kind.EPOCH else read(message.signed, Admission).epoch
            assert read(signed, Epoch).key_of(peer.client) is None


@given(kinds, schedules, schedules, st.booleans())
def test_own_word_of_the_called_device(kind: SessionKind, before: list[Step], after: list[Step], trust: bool) -> None:
    """The hub withholds what B took back; B joins by no invite of A's any more, and without trust takes no epoch."""
    world = AttackedWorld(kind).play(before)
    store, opened = world.devices[B.client].store, len(_opened(world, B))
    if trust:
        del store.pins[A.client]
    else:
        store.grants[A.client] = full_grant(A.fingerprint, revoked=True)
    world.play(after)
    since = [each for each in _opened(world, B)[opened:] if each.invite.sender == A.client]
    assert not [each for each in since if trust or each.admission is not None]


@given(schedules)
def test_p12_mesh(steps: list[Step]) -> None:
    """The attacker holds the insider M's key, the stranger E's, and all retired keys; every session is a mesh."""
    world = AttackedWorld(SessionKind.MESH).play(steps)
    for actor in HONEST_TARGETS:
        for opened in _opened(world, actor):
            others = [seat for seat in opened.epoch.epoch.members if seat.client != actor.client]
            assert all(PINS.get(seat.client) == seat.key for seat in others)
            assert opened.epoch.epoch.key_of(actor.client) == actor.fingerprint


def test_p22_is_not_vacuous() -> None:
    """B's person declines, and A shows it as B's word."""
    world = AttackedWorld(SessionKind.STAR).play([(Act.HONEST, 0, 0, 0), (Act.DECLINE, 0, 0, 0), *HONESTLY])
    target = world.creator.machine.targets[B.client]
    assert (target.sayer, target.reason) == (Sayer.PEER, Reason.DECLINED)


@given(kinds, schedules)
def test_p22_provenance(kind: SessionKind, steps: list[Step]) -> None:
    """The attacker holds the insider M's key, the stranger E's, and all retired keys, but not B's or C's."""
    world = AttackedWorld(kind)
    for step in steps:
        world.play([step])
        for actor in HONEST_TARGETS:
            target = world.creator.machine.targets[actor.client]
            if target.sayer is Sayer.PEER:
                words = world.devices[actor.client].refused
                assert {(invite, target.reason) for invite in world.creator.invited} & words
