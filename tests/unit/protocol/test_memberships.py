"""Both machines of a join beyond the straight way: what is said twice, late, or by those who may not."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from tests.own_store import StoredData

from muster_protocol.calls import Admissions, CallTarget, Plan, TargetState
from muster_protocol.cards import Mode, ProtocolRange
from muster_protocol.epochs import Epoch, EpochMember, epoch_hash
from muster_protocol.errors import Refused
from muster_protocol.exchange import JOIN_DEADLINE_MS, Admission, Answer, Invite, admission_info
from muster_protocol.frames import Purpose, SessionKind
from muster_protocol.ids import ClientId, Fingerprint, Hash, InviteId, Seed, TimeMs, client_id, session_id
from muster_protocol.inviting import Inviting
from muster_protocol.joining import Joining, read_invite
from muster_protocol.keys import SigningKey
from muster_protocol.reasons import Reason, Sayer
from muster_protocol.sealing import EpochKey, ReceiveKey, seal
from muster_protocol.signed import Signed, read, sign

NOW = TimeMs(1_000_000)
LATER = TimeMs(NOW + 60_000)
RANGE = ProtocolRange(1, 1)


def _key(name: str) -> SigningKey:
    return SigningKey.from_secret(sha256(name.encode()).digest())


A, B, C = (_key(name) for name in "ABC")
NAMES = {key: client_id(key.public.alg, key.public.public) for key in (A, B, C)}
PINS: dict[ClientId, Fingerprint] = {client: key.fingerprint for key, client in NAMES.items()}


def _store(key: SigningKey) -> StoredData:
    return StoredData(NAMES[key], key.fingerprint).agree(PINS)


def _receive(number: int) -> ReceiveKey:
    return ReceiveKey.from_seed(sha256(b"%d" % number).digest() * 3)


def _epoch_key(number: int) -> EpochKey:
    return EpochKey(sha256(b"epoch %d" % number).digest())


@dataclass(slots=True)
class CreatorSession:
    """A's session, with what is needed to bring others in."""

    creator: Inviting
    count: int = 0

    def next(self) -> int:
        self.count += 1
        return self.count

    def call(self, key: SigningKey) -> Signed:
        name = InviteId(bytes([self.next()]) * 16)
        return self.creator.invite(NAMES[key], key.public, invite=name, purpose=Purpose.AUTO, expires_at=LATER, now=NOW)

    def answered(self, key: SigningKey) -> Joining:
        machine = _joining(self.call(key), key)
        self.creator.on_answer(machine.accept(_receive(self.next()), NOW), NAMES[key], NOW)
        return machine

    def admitted(self, key: SigningKey) -> tuple[Joining, Admissions]:
        """Admit a device, which opens its admission; the creator does not know yet that it is committed."""
        machine = self.answered(key)
        made = self.creator.admit(_epoch_key(self.next()), NOW)
        assert made is not None
        machine.on_admission(dict(made.admissions)[NAMES[key]], NOW)
        return machine, made

    def joined(self, key: SigningKey) -> tuple[Joining, Signed]:
        """Bring a device in; give its machine and the ``joined`` that it said."""
        machine, _ = self.admitted(key)
        self.creator.committed(NOW)
        said = machine.joined_statement(_receive(self.next()), NOW)
        self.creator.on_joined(said, NAMES[key])
        return machine, said


def _joining(invite: Signed, key: SigningKey) -> Joining:
    return Joining(key, read_invite(invite, A.public, NAMES[key], key.fingerprint), RANGE, _store(key))


@pytest.fixture
def table() -> CreatorSession:
    plan = Plan(NAMES[A], Seed(bytes(16)), Mode.JOIN, None, SessionKind.MESH, RANGE)
    made = CreatorSession(Inviting(A, plan, _store(A)))
    made.creator.begin(_epoch_key(0), NOW)
    made.creator.committed(NOW)
    return made


def _reason(call: Any, *args: Any) -> Reason:
    with pytest.raises(Refused) as refused:
        call(*args)
    return refused.value.reason


def _state(table: CreatorSession, key: SigningKey) -> CallTarget:
    return table.creator.targets[NAMES[key]]


# -- the invite ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"recipient": NAMES[C]}, Reason.WRONG_RECIPIENT),
        ({"recipient_key": C.fingerprint}, Reason.KEY_MISMATCH),
        ({"sender_key": C.fingerprint}, Reason.MISMATCH),
        ({"sender": NAMES[C]}, Reason.MISMATCH),
        ({"sender": NAMES[B], "session": session_id(NAMES[B], Seed(bytes(16)))}, Reason.MISMATCH),
        ({"seed": Seed(b"x" * 16)}, Reason.MISMATCH),
        ({"session": session_id(NAMES[C], Seed(bytes(16)))}, Reason.MISMATCH),
        ({"expires_at": NOW}, Reason.MALFORMED),
        ({"expires_at": TimeMs(NOW + 24 * 3600 * 1000 + 1)}, Reason.MALFORMED),
    ],
)
def test_an_invite_says_who_calls_whom_into_what(
    table: CreatorSession, changes: dict[str, Any], reason: Reason
) -> None:
    invite = msgspec.structs.replace(read(table.call(B), Invite), **changes)
    assert _reason(_joining, sign(invite, A), B) is reason
    assert _reason(_joining, sign(invite, C), B) is Reason.MISMATCH


def test_an_invite_without_a_common_version_is_not_accepted(table: CreatorSession) -> None:
    machine = Joining(B, _joining(table.call(B), B).received, ProtocolRange(2, 3), _store(B))
    assert _reason(machine.accept, _receive(1), NOW) is Reason.INCOMPATIBLE_PROTOCOL


# -- the answer ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"recipient": NAMES[C]}, Reason.WRONG_RECIPIENT),
        ({"invite_hash": Hash(bytes(32))}, Reason.MISMATCH),
        ({"mode": Mode.SYNCHRONIZE}, Reason.MISMATCH),
        ({"profile": "photos"}, Reason.MISMATCH),
        ({"purpose": Purpose.ASK}, Reason.MISMATCH),
        ({"sender": NAMES[C]}, Reason.MISMATCH),
        ({"sender_key": C.fingerprint}, Reason.MISMATCH),
        ({"recipient_key": C.fingerprint}, Reason.MISMATCH),
        ({"invite": InviteId(b"x" * 16)}, Reason.MISMATCH),
        ({"receive_key": None}, Reason.MALFORMED),
        ({"protocol": ProtocolRange(2, 3)}, Reason.INCOMPATIBLE_PROTOCOL),
        ({"receive_key": None, "reason": Reason.OFFLINE}, Reason.MALFORMED),
    ],
)
def test_an_answer_goes_with_its_invite(table: CreatorSession, changes: dict[str, Any], reason: Reason) -> None:
    answer = msgspec.structs.replace(read(_joining(table.call(B), B).accept(_receive(1), NOW), Answer), **changes)
    before = _state(table, B)
    assert _reason(table.creator.on_answer, sign(answer, B), NAMES[B], NOW) is reason
    assert _state(table, B) == before


def test_an_answer_is_taken_once_and_in_time(table: CreatorSession) -> None:
    machine = _joining(table.call(B), B)
    answer = machine.accept(_receive(1), NOW)
    assert machine.answer == answer
    assert _reason(machine.accept, _receive(2), NOW) is Reason.REPLAYED
    assert _reason(table.creator.on_answer, answer, NAMES[C], NOW) is Reason.MISMATCH
    assert _reason(table.creator.on_answer, answer, NAMES[B], LATER) is Reason.EXPIRED
    assert table.creator.on_answer(answer, NAMES[B], NOW).state is TargetState.ACCEPTED
    assert _reason(table.creator.on_answer, answer, NAMES[B], NOW) is Reason.REPLAYED


def test_a_refusal_is_the_peers_word_and_only_its_own_reasons(table: CreatorSession) -> None:
    machine = _joining(table.call(B), B)
    assert _reason(machine.refuse, Reason.OFFLINE, NOW) is Reason.MALFORMED
    target = table.creator.on_answer(machine.refuse(Reason.DECLINED, NOW), NAMES[B], NOW)
    assert (target.state, target.reason, target.sayer) == (TargetState.REFUSED, Reason.DECLINED, Sayer.PEER)


def test_a_devices_own_refusal_replaces_the_hubs_word_that_ended_its_call(table: CreatorSession) -> None:
    machine = table.answered(B)
    assert table.creator.admit(_epoch_key(1), NOW) is not None
    table.creator.committed(NOW)
    for _ in range(2):
        table.creator.refuse(NAMES[B], Reason.NOT_TRUSTED, Sayer.HUB)
    accepted = machine.answer
    assert accepted is not None
    assert _reason(table.creator.on_answer, accepted, NAMES[B], NOW) is Reason.MISMATCH
    refusal = machine.refuse(Reason.GRANT_REVOKED, NOW)
    target = table.creator.on_answer(refusal, NAMES[B], NOW)
    assert (target.state, target.reason, target.sayer) == (TargetState.REFUSED, Reason.GRANT_REVOKED, Sayer.PEER)
    assert _reason(table.creator.on_answer, refusal, NAMES[B], NOW) is Reason.MISMATCH, "the call is over"


@pytest.mark.parametrize("again", [True, False])
def test_an_earlier_refusal_ends_no_later_call(table: CreatorSession, again: bool) -> None:
    machine = table.answered(B)
    table.creator.refuse(NAMES[B], Reason.CANCELLED, Sayer.HUB if again else Sayer.DEVICE)
    if again:
        table.call(B)
    assert _reason(table.creator.on_answer, machine.refuse(Reason.DECLINED, NOW), NAMES[B], NOW) is Reason.MISMATCH


def test_times_end_what_waits(table: CreatorSession) -> None:
    table.call(B)
    table.answered(C)
    assert table.creator.next_deadline() == LATER
    assert table.creator.on_time(TimeMs(LATER - 1)) == ()
    (ended,) = table.creator.on_time(LATER)
    assert (ended.client, ended.reason, ended.sayer) == (NAMES[B], Reason.NO_ANSWER, Sayer.DEVICE)
    assert table.creator.admit(_epoch_key(1), NOW) is not None
    table.creator.committed(NOW)
    assert table.creator.next_deadline() == NOW + JOIN_DEADLINE_MS
    (ended,) = table.creator.on_time(TimeMs(NOW + JOIN_DEADLINE_MS))
    assert (ended.client, ended.reason, ended.sayer) == (NAMES[C], Reason.JOIN_FAILED, Sayer.DEVICE)
    assert table.creator.next_deadline() is None


# -- the admission ---------------------------------------------------------------------------------------------------


def _admitted(table: CreatorSession) -> tuple[Joining, Admission]:
    machine = table.answered(B)
    made = table.creator.admit(_epoch_key(1), NOW)
    assert made is not None
    return machine, read(made.admissions[0][1], Admission)


def _resealed(machine: Joining, admission: Admission, key: EpochKey, **changes: Any) -> Signed:
    """Return an admission with another epoch in it, all else as it must be: the creator itself misbehaves."""
    epoch = msgspec.structs.replace(read(admission.epoch, Epoch), **changes)
    signed = sign(epoch, A)
    info = admission_info(admission.invite_hash, admission.answer_hash, epoch_hash(signed))
    sealed = seal(key, machine._receive_keys[0].public, info)
    return sign(msgspec.structs.replace(admission, epoch=signed, sealed=sealed), A)


_A, _B, _C = (EpochMember(NAMES[key], key.fingerprint) for key in (A, B, C))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"session": session_id(NAMES[A], Seed(b"x" * 16))}, Reason.MISMATCH),
        ({"members": (_A,)}, Reason.MISMATCH),
        ({"members": (_A, EpochMember(NAMES[B], C.fingerprint))}, Reason.MISMATCH),
        ({"members": (_B,)}, Reason.MISMATCH),
        ({"members": (EpochMember(NAMES[A], C.fingerprint), _B)}, Reason.MISMATCH),
        ({"members": (_A, _B, _B)}, Reason.MALFORMED),
        ({"members": (_A, _B, EpochMember(NAMES[C], A.fingerprint))}, Reason.KEY_MISMATCH),
        ({"members": (_A, _B, EpochMember(ClientId("z" * 32), C.fingerprint))}, Reason.NOT_TRUSTED),
        ({"number": 1}, Reason.MALFORMED),
        ({"previous": None}, Reason.MALFORMED),
        ({"commitment": Hash(bytes(32))}, Reason.MISMATCH),
        ({"number": 3}, Reason.MISMATCH),
    ],
)
def test_an_admission_brings_a_good_epoch(table: CreatorSession, changes: dict[str, Any], reason: Reason) -> None:
    machine, admission = _admitted(table)
    assert _reason(machine.on_admission, _resealed(machine, admission, _epoch_key(1), **changes), NOW) is reason
    assert not machine.joined
    assert _reason(machine.on_admission, _resealed(machine, admission, _epoch_key(2)), NOW) is Reason.MISMATCH
    machine.on_admission(_resealed(machine, admission, _epoch_key(1)), NOW)
    assert machine.epoch_key == _epoch_key(1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"recipient": NAMES[C]}, Reason.WRONG_RECIPIENT),
        ({"invite_hash": Hash(bytes(32))}, Reason.MISMATCH),
        ({"answer_hash": Hash(bytes(32))}, Reason.CANNOT_OPEN),
        ({"session": session_id(NAMES[A], Seed(b"x" * 16))}, Reason.MISMATCH),
        ({"mode": Mode.SYNCHRONIZE}, Reason.MISMATCH),
        ({"sender_key": C.fingerprint}, Reason.MISMATCH),
        ({"sealed": bytes(1168)}, Reason.CANNOT_OPEN),
        ({"sealed": bytes(1167)}, Reason.MALFORMED),
    ],
)
def test_an_admission_goes_with_the_answer(table: CreatorSession, changes: dict[str, Any], reason: Reason) -> None:
    machine, admission = _admitted(table)
    assert _reason(machine.on_admission, sign(msgspec.structs.replace(admission, **changes), A), NOW) is reason
    machine.on_admission(sign(admission, A), NOW)
    assert _reason(machine.on_admission, sign(admission, A), NOW) is Reason.REPLAYED


def test_a_device_that_refused_opens_nothing(table: CreatorSession) -> None:
    machine, admission = _admitted(table)
    machine.refuse(Reason.CANNOT_OPEN, NOW)
    assert _reason(machine.on_admission, sign(admission, A), NOW) is Reason.CANNOT_OPEN


# -- members ---------------------------------------------------------------------------------------------------------


def test_an_epoch_is_not_vouched_for_without_its_key(table: CreatorSession) -> None:
    machine, _ = table.joined(B)
    assert (
        _reason(Joining(B, machine.received, RANGE, _store(B)).joined_statement, _receive(90), NOW)
        is Reason.NOT_A_MEMBER
    )
    table.answered(C)
    made = table.creator.admit(_epoch_key(50), NOW)
    assert made is not None
    machine.on_skipped(made.epoch)
    assert machine.epoch.hash == epoch_hash(made.epoch)
    assert _reason(lambda: machine.epoch_key) is Reason.NOT_A_MEMBER
    assert _reason(machine.joined_statement, _receive(91), NOW) is Reason.NOT_A_MEMBER


def test_statements_of_an_earlier_membership_prove_nothing_in_the_next(table: CreatorSession) -> None:
    """The hub keeps an old ``joined`` back: taken later, it would name a receive key that is gone."""
    machine, _ = table.joined(B)
    other = table.answered(C)
    made = table.creator.admit(_epoch_key(60), NOW)
    assert made is not None
    table.creator.committed(NOW)
    other.on_admission(made.admissions[0][1], NOW)
    machine.on_epoch(made.epoch, made.sealed[0][1])
    withheld = machine.joined_statement(_receive(61), NOW)
    again = table.answered(B)
    made = table.creator.admit(_epoch_key(62), NOW)
    assert made is not None
    table.creator.committed(NOW)
    again.on_admission(made.admissions[0][1], NOW)
    assert _reason(table.creator.on_joined, withheld, NAMES[B]) is Reason.REPLAYED
    table.creator.on_joined(again.joined_statement(_receive(63), NOW), NAMES[B])
    assert _state(table, B).state is TargetState.JOINED


def test_joined_is_heard_once_and_from_members_alone(table: CreatorSession) -> None:
    _, said = table.joined(B)
    assert _state(table, B).state is TargetState.JOINED
    assert _reason(table.creator.on_joined, said, NAMES[B]) is Reason.REPLAYED
    assert _reason(table.creator.on_joined, said, NAMES[C]) is Reason.NOT_A_MEMBER


def test_a_device_that_was_admitted_and_did_not_join_is_in_no_later_epoch(table: CreatorSession) -> None:
    table.admitted(B)
    table.creator.committed(NOW)
    table.creator.refuse(NAMES[B], Reason.JOIN_FAILED, Sayer.HUB)
    table.answered(C)
    made = table.creator.admit(_epoch_key(70), NOW)
    assert made is not None
    assert read(made.epoch, Epoch).clients == (NAMES[A], NAMES[C])
    assert made.sealed == ()


def test_an_epoch_before_a_members_first_joined_is_sealed_to_the_key_of_its_answer(table: CreatorSession) -> None:
    seated, _ = table.admitted(B)
    table.creator.committed(NOW)
    _, second = table.admitted(C)
    table.creator.committed(NOW)
    assert seated.on_epoch(second.epoch, dict(second.sealed)[NAMES[B]]).epoch.number == 3
    table.creator.on_joined(seated.joined_statement(_receive(table.next()), NOW), NAMES[B])


def test_joined_may_come_before_the_hubs_reply(table: CreatorSession) -> None:
    member, _ = table.joined(C)
    machine, made = table.admitted(B)
    said = machine.joined_statement(_receive(table.next()), NOW)
    member.on_epoch(made.epoch, dict(made.sealed)[NAMES[C]])
    again = member.joined_statement(_receive(table.next()), NOW)
    assert table.creator.on_joined(said, NAMES[B]) is None
    assert table.creator.on_joined(again, NAMES[C]) is None
    assert _state(table, B).state is TargetState.ACCEPTED
    forged = msgspec.structs.replace(said, signature=again.signature)
    assert _reason(table.creator.on_joined, forged, NAMES[B]) is Reason.BAD_SIGNATURE
    table.creator.committed(NOW)
    assert _state(table, B).state is TargetState.JOINED
    assert _reason(table.creator.on_joined, again, NAMES[C]) is Reason.REPLAYED


def test_joined_to_an_epoch_that_is_not_committed_says_nothing(table: CreatorSession) -> None:
    machine, _ = table.admitted(B)
    said = machine.joined_statement(_receive(table.next()), NOW)
    table.creator.on_joined(said, NAMES[B])
    table.creator.rejected({}, NOW)
    table.creator.admit(_epoch_key(table.next()), NOW)
    table.creator.committed(NOW)
    assert _state(table, B).state is TargetState.ADMITTED
    assert _reason(table.creator.on_joined, said, NAMES[B]) is Reason.MISMATCH


def test_a_device_that_never_joined_is_in_no_later_epoch(table: CreatorSession) -> None:
    table.answered(B)
    assert table.creator.admit(_epoch_key(80), NOW) is not None
    table.creator.committed(NOW)
    table.creator.on_time(TimeMs(NOW + JOIN_DEADLINE_MS))
    table.answered(C)
    made = table.creator.admit(_epoch_key(81), NOW)
    assert made is not None
    assert read(made.epoch, Epoch).clients == (NAMES[A], NAMES[C])
