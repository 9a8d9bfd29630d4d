"""Parts of one message in the place of another, and sessions that the insider makes itself."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.property.cast import NOON, PINS, A, B, C, E, M, RotatedDevice, epoch_key, receive_key
from tests.property.devices import Callee, Creator, Fresh, Message

from muster_protocol.epochs import Epoch, EpochMember, epoch_hash, in_order
from muster_protocol.errors import Refused
from muster_protocol.exchange import Admission, admission_info, epoch_info
from muster_protocol.frames import SessionKind
from muster_protocol.joining import Joining
from muster_protocol.keys import SigningKey
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.sealing import EpochKey, commitment, seal
from muster_protocol.signed import Signed, read, sign


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed key belongs: the device that waits for it, and the message that brings it."""

    machine: Joining
    key: SigningKey
    admission: Admission | None
    epoch: Signed
    sealed: bytes


def _answered(creator: Creator, actor: RotatedDevice) -> Joining:
    device = Callee(actor, creator.fresh)
    answer = device.on_invite(creator.invite(actor).signed, NOON)
    if answer is None:
        raise AssertionError("no answer")
    creator.on_answer(answer.signed, actor.client)
    return device.machines[0]


def _copy(machine: Joining) -> Joining:
    return replace(machine, _receive_keys=list(machine._receive_keys))


def _admissions(creator: Creator, waiting: list[Joining], made: list[Message]) -> list[Place]:
    bodies = [read(message.signed, Admission) for message in made if message.kind is Kind.ADMISSION]
    by_name = {machine.received.invite.recipient: machine for machine in waiting}
    return [Place(_copy(by_name[body.recipient]), creator.actor.key, body, body.epoch, body.sealed) for body in bodies]


def _join(creator: Creator, machine: Joining, place: Place) -> None:
    """Let a device take its place, and the creator hear of it."""
    if place.admission is None:
        machine.on_epoch(place.epoch, place.sealed)
    else:
        machine.on_admission(sign(place.admission, place.key), NOON)
    owner = B if machine.key is B.key else C
    joined = machine.joined_statement(creator.fresh.receive_key(owner), NOON)
    creator.on_joined(joined, owner.client)


@cache
def places() -> tuple[Place, ...]:
    """Make A's session through four epochs, a second session of A's, and one of M's.

    In the first, B and C are admitted, twice because the hub rejects the first try; then B again by a new invite while
    C is a member; then M, while both are.
    """
    fresh, found = Fresh(), []
    creator = Creator(A, fresh, SessionKind.MESH)
    creator.begin(NOON)
    first, other = _answered(creator, B), _answered(creator, C)
    found += _admissions(creator, [first, other], creator.admit())
    creator.machine.rejected({}, NOON)
    taken = _admissions(creator, [first, other], creator.admit())
    found += taken
    creator.commit()
    for machine, place in zip((first, other), taken, strict=True):
        _join(creator, machine, place)
    second = _answered(creator, B)
    made = creator.admit()
    creator.commit()
    admitted, pushed = _admissions(creator, [second], made)[0], made[-1]
    to_other = Place(_copy(other), A.key, None, pushed.signed, pushed.sealed)
    found += [admitted, to_other]
    _join(creator, second, admitted)
    _join(creator, other, to_other)
    _answered(creator, M)
    pushes = [message for message in creator.admit() if message.kind is Kind.EPOCH]
    found += [
        Place(_copy(machine), A.key, None, push.signed, push.sealed)
        for machine, push in zip(_in_order(second, other), pushes, strict=True)
    ]
    for actor, seed in ((A, b"2" * 16), (M, b"3" * 16)):
        session = Creator(actor, fresh, SessionKind.STAR, seed=seed)
        session.begin(NOON)
        found += _admissions(session, [_answered(session, B)], session.admit())
    return tuple(found)


def _in_order(one: Joining, other: Joining) -> list[Joining]:
    clients = one.epoch.epoch.clients
    return sorted((one, other), key=lambda machine: clients.index(machine.received.invite.recipient))


_indices = st.integers(0, 9)
MOVED = (
    "sealed",
    "epoch",
    "session",
    "invite",
    "invite_hash",
    "answer_hash",
    "sender",
    "sender_key",
    "recipient_key",
)


def _try(place: Place, admission: Admission | None, key: SigningKey, epoch: Signed, sealed: bytes) -> None:
    machine = _copy(place.machine)
    if admission is None:
        machine.on_epoch(epoch, sealed)
    else:
        machine.on_admission(sign(admission, key), NOON)


def test_p05_every_place_opens_what_belongs_there() -> None:
    """Nothing is attacked: without this the property below would hold of messages that cannot be opened."""
    assert len(places()) == 10
    for place in places():
        _try(place, place.admission, place.key, place.epoch, place.sealed)


@pytest.mark.slow
@given(_indices, _indices, st.sets(st.sampled_from(MOVED), min_size=1), st.booleans())
@settings(max_examples=400)
def test_p05_no_cut_and_paste(source: int, target: int, moved: set[str], insider: bool) -> None:
    """The attacker can even have the parts signed by the true creator of the place where it puts them, or by M."""
    part, place = places()[source], places()[target]
    key = M.key if insider else place.key
    epoch = part.epoch if "epoch" in moved else place.epoch
    sealed = part.sealed if "sealed" in moved else place.sealed
    body = place.admission
    if body is not None:
        values = {"sealed": sealed, "epoch": epoch}
        if part.admission is not None:
            values |= {name: getattr(part.admission, name) for name in moved - values.keys()}
        body = msgspec.structs.replace(body, **values)
    belongs = [each for each in places() if each.machine.received.hash == place.machine.received.hash]
    if (body, epoch, sealed) in [(each.admission, each.epoch, each.sealed) for each in belongs]:
        # Both tries at one epoch are A's own words, and either is opened, once.
        assume(body is not None and key is not place.key)
    with pytest.raises(Refused) as refused:
        _try(place, body, key, epoch, sealed)
    assert refused.value.reason in {Reason.CANNOT_OPEN, Reason.MISMATCH} | (
        # An epoch in the place of one with the same number, or of a later one, is named for what it is.
        {Reason.EPOCH_FORKED, Reason.REPLAYED} if body is None else set()
    )


@given(_indices, _indices)
def test_p05_no_part_of_the_insiders_own_session(source: int, target: int) -> None:
    """The attacker holds M's key, and puts what A sealed into M's own epochs, re-signed as its own."""
    part, place = places()[source], places()[target]
    if place.admission is None:
        return
    copied = msgspec.structs.replace(
        place.admission, sender=M.client, sender_key=M.fingerprint, sealed=part.sealed, epoch=part.epoch
    )
    if copied == place.admission:
        return
    with pytest.raises(Refused) as refused:
        _try(place, copied, M.key, part.epoch, part.sealed)
    assert refused.value.reason in {Reason.CANNOT_OPEN, Reason.MISMATCH}


_seats = st.lists(
    st.sampled_from(
        [EpochMember(actor.client, key.fingerprint) for actor in (A, C, E) for key in (actor.key, actor.retired)]
    ),
    max_size=4,
    unique_by=lambda seat: seat.client,
)


@given(_seats, st.booleans())
def test_p12_mesh_made_by_the_insider(seats: list[EpochMember], later: bool) -> None:
    """The attacker holds M's key and makes the session: either each member that M names is B's own pin, or B stays out.

    M names them when it admits B, or in a later epoch.
    """
    insider = Creator(M, Fresh(), SessionKind.MESH)
    insider.begin(NOON)
    machine = _answered(insider, B)
    admission = _admissions(insider, [machine], insider.admit())[0].admission
    assert admission is not None
    if not later:
        forged = _with_members(admission, seats)
        _accepts_only(seats, lambda: machine.on_admission(sign(forged, M.key), NOON))
        return
    machine.on_admission(sign(admission, M.key), NOON)
    epoch, key = _next_epoch(machine, seats)
    sealed = seal(key, machine._receive_keys[0].public, epoch_info(epoch_hash(epoch), B.client))
    _accepts_only(seats, lambda: machine.on_epoch(epoch, sealed))


def _with_members(admission: Admission, seats: list[EpochMember]) -> Admission:
    epoch, key = read(admission.epoch, Epoch), epoch_key(1000)
    changed = msgspec.structs.replace(
        epoch, members=in_order((*epoch.members, *seats)), commitment=commitment(epoch.session, epoch.number, key)
    )
    signed = sign(changed, M.key)
    info = admission_info(admission.invite_hash, admission.answer_hash, epoch_hash(signed))
    return msgspec.structs.replace(admission, epoch=signed, sealed=seal(key, receive_key(0).public, info))


def _next_epoch(machine: Joining, seats: list[EpochMember]) -> tuple[Signed, EpochKey]:
    known, key = machine.epoch, epoch_key(1001)
    body = Epoch(
        session=known.epoch.session,
        number=known.epoch.number + 1,
        previous=known.hash,
        members=in_order((*known.epoch.members, *seats)),
        commitment=commitment(known.epoch.session, known.epoch.number + 1, key),
        at=NOON,
    )
    return sign(body, M.key), key


def _accepts_only(seats: list[EpochMember], attempt: Callable[[], object]) -> None:
    if all(PINS.get(seat.client) == seat.key for seat in seats):
        attempt()
        return
    with pytest.raises(Refused) as refused:
        attempt()
    assert refused.value.reason in {Reason.NOT_TRUSTED, Reason.KEY_MISMATCH}
