"""The machines of a join ask the device's own store at each act: what it took back counts at once."""

from collections.abc import Callable

import pytest
from tests.own_store import StoredData, full_grant
from tests.unit.protocol.test_later_epochs import _next
from tests.unit.protocol.test_memberships import (
    NAMES,
    NOW,
    A,
    B,
    C,
    CreatorSession,
    _admitted,
    _epoch_key,
    _joining,
    _reason,
    _receive,
    _state,
    table,
)

from muster_protocol.calls import TargetState
from muster_protocol.epochs import Epoch
from muster_protocol.ids import Serial
from muster_protocol.inviting import Inviting
from muster_protocol.joining import Joining
from muster_protocol.reasons import Reason, Sayer
from muster_protocol.signed import read, sign

__all__ = ["table"]


def _own(machine: Inviting | Joining) -> StoredData:
    assert isinstance(machine.own, StoredData)
    return machine.own


def test_a_creator_calls_only_whom_its_own_store_allows(table: CreatorSession) -> None:
    own = _own(table.creator)
    own.grants[NAMES[B]] = full_grant(B.fingerprint, revoked=True)
    assert _reason(table.call, B) is Reason.GRANT_REVOKED
    del own.pins[NAMES[B]]
    assert _reason(table.call, B) is Reason.NOT_TRUSTED
    assert NAMES[B] not in table.creator.targets


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda own: own.pins.pop(NAMES[B]), Reason.NOT_TRUSTED),
        (lambda own: own.pins.update({NAMES[B]: C.fingerprint}), Reason.KEY_MISMATCH),
        (lambda own: own.trust.update({NAMES[B]: Serial(2)}), Reason.NOT_TRUSTED),
        (lambda own: own.grants.pop(NAMES[B]), Reason.GRANT_MISSING),
        (lambda own: setattr(own, "standing", Reason.CLONE_SUSPECTED), Reason.CLONE_SUSPECTED),
    ],
)
def test_a_device_that_answered_is_admitted_by_what_the_store_says_now(
    table: CreatorSession, change: Callable[[StoredData], object], reason: Reason
) -> None:
    table.answered(B)
    change(_own(table.creator))
    assert table.creator.admit(_epoch_key(1), NOW) is None
    target = _state(table, B)
    assert (target.state, target.reason, target.sayer) == (TargetState.REFUSED, reason, Sayer.DEVICE)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda own: own.pins.pop(NAMES[B]), Reason.NOT_TRUSTED),
        (lambda own: own.pins.update({NAMES[B]: C.fingerprint}), Reason.KEY_MISMATCH),
        (lambda own: own.trust.update({NAMES[B]: Serial(2)}), Reason.NOT_TRUSTED),
    ],
)
def test_a_member_is_kept_by_what_the_store_says_now(
    table: CreatorSession, change: Callable[[StoredData], object], reason: Reason
) -> None:
    table.joined(B)
    table.answered(C)
    change(_own(table.creator))
    made = table.creator.admit(_epoch_key(table.next()), NOW)
    assert made is not None
    assert read(made.epoch, Epoch).clients == (NAMES[A], NAMES[C])
    assert made.sealed == ()
    target = _state(table, B)
    assert (target.state, target.reason, target.sayer) == (TargetState.REFUSED, reason, Sayer.DEVICE)


def test_a_member_whose_grant_ended_stays(table: CreatorSession) -> None:
    table.joined(B)
    table.answered(C)
    del _own(table.creator).grants[NAMES[B]]
    made = table.creator.admit(_epoch_key(table.next()), NOW)
    assert made is not None
    assert dict(made.sealed).keys() == {NAMES[B]}


def test_a_device_answers_and_joins_by_what_its_store_says_now(table: CreatorSession) -> None:
    machine = _joining(table.call(B), B)
    own = _own(machine)
    own.grants[NAMES[A]] = full_grant(A.fingerprint, revoked=True)
    assert _reason(machine.accept, _receive(1), NOW) is Reason.GRANT_REVOKED
    assert machine.answer is None
    machine, admission = _admitted(table)
    own = _own(machine)
    own.grants[NAMES[A]] = full_grant(A.fingerprint, revoked=True)
    assert _reason(machine.on_admission, sign(admission, A), NOW) is Reason.GRANT_REVOKED
    assert not machine.joined
    own.grants[NAMES[A]] = full_grant(A.fingerprint, used=True)
    assert _reason(machine.on_admission, sign(admission, A), NOW) is Reason.GRANT_USED
    own.spent_on[NAMES[A]] = admission.invite
    machine.on_admission(sign(admission, A), NOW)
    assert machine.joined


def test_a_member_takes_no_epoch_with_a_device_that_it_does_not_trust_any_more(table: CreatorSession) -> None:
    machine, _ = table.joined(B)
    del _own(machine).pins[NAMES[A]]
    assert _reason(machine.on_epoch, *_next(machine, _epoch_key(99))) is Reason.NOT_TRUSTED
    assert _reason(machine.check_members) is Reason.NOT_TRUSTED
