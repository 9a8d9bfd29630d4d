"""A member goes by its own statement or by the creator's own store; the hub's word leaves none out."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from tests.own_store import StoredData
from tests.unit.protocol.test_memberships import (
    NAMES,
    NOW,
    A,
    B,
    C,
    CreatorSession,
    _epoch_key,
    _joining,
    _key,
    _reason,
    _state,
    table,
)

from muster_protocol.calls import FIRST_RETRY_MS, LONGEST_RETRY_MS, TargetState
from muster_protocol.cards import Card, Mode, ProtocolRange, Rotation, sign_rotation
from muster_protocol.epochs import Epoch
from muster_protocol.exchange import Leave
from muster_protocol.governance import Untrust
from muster_protocol.ids import ClientId, Serial, TimeMs
from muster_protocol.keys import SigningKey
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason, Sayer
from muster_protocol.signed import Signed, read, sign

__all__ = ["table"]

NEW = _key("B after its rotation")


def _leave(table: CreatorSession, by: SigningKey = B, **changes: Any) -> Signed:
    body = Leave(session=table.creator.plan.session, member=NAMES[B], member_key=B.fingerprint, at=NOW)
    return sign(msgspec.structs.replace(body, **changes), by)


def _untrust(by: SigningKey = B, **changes: Any) -> Signed:
    body = Untrust(client=NAMES[B], serial=Serial(NOW), peer=NAMES[A])
    return sign(msgspec.structs.replace(body, **changes), by)


def _card(*keys: SigningKey) -> Signed:
    """Return B's card with a chain of these keys."""
    links = [
        sign_rotation(
            Rotation(
                client=NAMES[keys[0]],
                number=number,
                predecessor=old.fingerprint,
                new_key=new.public,
                serial=Serial(NOW),
            ),
            old,
            new,
        )
        for number, (old, new) in enumerate(pairwise(keys), start=1)
    ]
    body = Card(
        client=NAMES[keys[0]],
        genesis=keys[0].public,
        current=keys[-1].public,
        rotations=tuple(links),
        serial=Serial(NOW),
        protocol=ProtocolRange(1, 1),
        app="muster",
        app_version="1",
        modes=tuple(Mode),
    )
    return sign(body, keys[-1])


def _members(table: CreatorSession, now: TimeMs = NOW) -> tuple[ClientId, ...] | None:
    """Make the next epoch and return its members, or None where there is no epoch to make."""
    made = table.creator.admit(_epoch_key(table.next()), now)
    return None if made is None else read(made.epoch, Epoch).clients


def _all(*keys: SigningKey) -> tuple[ClientId, ...]:
    return tuple(sorted(NAMES[key] for key in keys))


@pytest.fixture
def blocked(table: CreatorSession) -> CreatorSession:
    """B has joined and C waits; the hub refused the epoch with both, since B is no member."""
    table.joined(B)
    table.answered(C)
    assert _members(table) == _all(A, B, C)
    table.creator.rejected({NAMES[B]: Reason.NOT_A_MEMBER}, NOW)
    return table


def test_a_member_that_the_hub_denies_blocks_the_epoch_and_stays(blocked: CreatorSession) -> None:
    creator = blocked.creator
    assert creator.blocked == {NAMES[B]: Reason.NOT_A_MEMBER}
    assert creator.has_joined(NAMES[B])
    assert _state(blocked, C).state is TargetState.ACCEPTED
    assert _members(blocked) is None


def test_a_blocked_epoch_is_tried_again_after_longer_and_longer_times(blocked: CreatorSession) -> None:
    creator, now, wait_ms = blocked.creator, NOW, FIRST_RETRY_MS
    for _ in range(8):
        assert creator.next_deadline() == now + wait_ms
        assert _members(blocked, TimeMs(now + wait_ms - 1)) is None
        now = TimeMs(now + wait_ms)
        assert _members(blocked, now) == _all(A, B, C)
        assert creator.next_deadline() is None, "one epoch at a time: this one waits for the hub, and not for a time"
        creator.rejected({NAMES[B]: Reason.NOT_A_MEMBER}, now)
        wait_ms = min(2 * wait_ms, LONGEST_RETRY_MS)
    assert wait_ms == LONGEST_RETRY_MS
    assert _members(blocked, TimeMs(now + wait_ms)) == _all(A, B, C)
    creator.committed(now)
    assert creator.blocked == {}
    assert _state(blocked, C).state is TargetState.ADMITTED


def test_a_blocked_epoch_waits_for_no_time_when_no_device_waits(blocked: CreatorSession) -> None:
    blocked.creator.refuse(NAMES[C], Reason.CANCELLED, Sayer.DEVICE)
    assert blocked.creator.next_deadline() is None


@pytest.mark.parametrize(
    ("kind", "statement"),
    [
        (Kind.LEAVE, _leave),
        (Kind.UNTRUST, lambda _: _untrust()),
        (Kind.UNTRUST, lambda _: _untrust(serial=Serial(NOW + 1))),
        (Kind.CARD, lambda _: _card(B, NEW)),
    ],
    ids=["leave", "untrust", "later untrust", "rotation"],
)
def test_the_members_own_statement_takes_it_out(
    blocked: CreatorSession, kind: Kind, statement: Callable[[CreatorSession], Signed]
) -> None:
    blocked.creator.on_departure(kind, statement(blocked), NAMES[B])
    assert blocked.creator.blocked == {}
    assert _members(blocked) == _all(A, C)


def test_a_leave_is_of_its_own_membership_also_where_the_clock_went_back(table: CreatorSession) -> None:
    machine, _ = table.joined(B)
    assert read(machine.leave(TimeMs(NOW + 5)), Leave).at == NOW + 5
    table.creator.on_departure(Kind.LEAVE, machine.leave(TimeMs(0)), NAMES[B])
    table.answered(C)
    assert _members(table) == _all(A, C)


def test_in_a_mesh_a_member_goes_by_an_untrust_of_another_member(table: CreatorSession) -> None:
    table.joined(B)
    untrust = _untrust(peer=NAMES[C])
    assert _reason(table.creator.on_departure, Kind.UNTRUST, untrust, NAMES[B]) is Reason.MISMATCH
    table.joined(C)
    table.creator.on_departure(Kind.UNTRUST, untrust, NAMES[B])
    table.answered(B)
    assert _members(table) == _all(A, B, C), "it is admitted again"


@pytest.mark.parametrize(
    ("kind", "statement", "reason"),
    [
        (Kind.LEAVE, lambda table: _leave(table, member=NAMES[C]), Reason.MISMATCH),
        (Kind.LEAVE, lambda table: _leave(table, session="s" * 32), Reason.MISMATCH),
        (Kind.LEAVE, lambda table: _leave(table, member_key=NEW.fingerprint), Reason.MISMATCH),
        (Kind.LEAVE, lambda table: _leave(table, C), Reason.MISMATCH),
        (Kind.LEAVE, lambda table: _leave(table, at=TimeMs(NOW - 1)), Reason.REPLAYED),
        (Kind.UNTRUST, lambda _: _untrust(serial=Serial(NOW - 1)), Reason.REPLAYED),
        (Kind.UNTRUST, lambda _: _untrust(client=NAMES[C]), Reason.MISMATCH),
        (Kind.UNTRUST, lambda _: _untrust(peer=NAMES[C]), Reason.MISMATCH),
        (Kind.UNTRUST, lambda _: _untrust(C), Reason.MISMATCH),
        (Kind.CARD, lambda _: _card(B), Reason.MISMATCH),
        (Kind.CARD, lambda _: _card(C, NEW), Reason.MISMATCH),
        (Kind.TRUST, lambda _: _untrust(), Reason.MISMATCH),
    ],
)
def test_no_other_statement_takes_a_member_out(
    blocked: CreatorSession, kind: Kind, statement: Callable[[CreatorSession], Signed], reason: Reason
) -> None:
    assert _reason(blocked.creator.on_departure, kind, statement(blocked), NAMES[B]) is reason
    assert blocked.creator.blocked == {NAMES[B]: Reason.NOT_A_MEMBER}


def test_a_departure_is_that_of_a_member(table: CreatorSession) -> None:
    assert _reason(table.creator.on_departure, Kind.LEAVE, _leave(table), NAMES[B]) is Reason.NOT_A_MEMBER


def test_the_creators_own_store_takes_a_member_out(blocked: CreatorSession) -> None:
    own = blocked.creator.own
    assert isinstance(own, StoredData)
    del own.pins[NAMES[B]]
    assert _members(blocked) == _all(A, C)
    assert (_state(blocked, B).reason, _state(blocked, B).sayer) == (Reason.NOT_TRUSTED, Sayer.DEVICE)


def test_a_member_that_is_admitted_again_blocks_no_longer(blocked: CreatorSession) -> None:
    blocked.answered(B)
    assert blocked.creator.blocked == {}
    assert _members(blocked) == _all(A, B, C)


def test_the_hub_ends_the_calls_of_newcomers(table: CreatorSession) -> None:
    table.joined(B)
    table.answered(C)
    assert _members(table) == _all(A, B, C)
    table.creator.rejected({NAMES[C]: Reason.OFFLINE}, NOW)
    assert (_state(table, C).reason, _state(table, C).sayer) == (Reason.OFFLINE, Sayer.HUB)
    assert table.creator.blocked == {}
    table.answered(C)
    assert _members(table) == _all(A, B, C)


def test_no_word_of_the_hub_ends_a_membership(table: CreatorSession) -> None:
    table.joined(B)
    table.creator.rejected({NAMES[B]: Reason.NOT_A_MEMBER}, NOW)
    assert table.creator.refuse(NAMES[B], Reason.NOT_A_MEMBER, Sayer.HUB).state is TargetState.JOINED
    table.call(B)
    table.creator.refuse(NAMES[B], Reason.OFFLINE, Sayer.HUB)
    table.answered(C)
    assert _members(table) == _all(A, B, C)


@pytest.mark.parametrize("accepted", [True, False])
def test_a_refusal_of_a_member_that_joined_ends_its_new_call_alone(table: CreatorSession, accepted: bool) -> None:
    table.joined(B)
    machine = table.answered(B) if accepted else _joining(table.call(B), B)
    target = table.creator.on_answer(machine.refuse(Reason.DECLINED, NOW), NAMES[B], NOW)
    assert (target.state, target.sayer) == (TargetState.REFUSED, Sayer.PEER)
    table.answered(C)
    assert _members(table) == _all(A, B, C)


def test_a_refusal_of_a_member_that_an_epoch_under_way_admits_again_takes_it_out(table: CreatorSession) -> None:
    table.joined(B)
    machine = table.answered(B)
    assert _members(table) == _all(A, B)
    table.creator.on_answer(machine.refuse(Reason.CANNOT_OPEN, NOW), NAMES[B], NOW)
    table.creator.committed(NOW)
    table.answered(C)
    assert _members(table) == _all(A, C)
