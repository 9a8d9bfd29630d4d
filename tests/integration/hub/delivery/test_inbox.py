"""What waits for a device is delivered until it is acknowledged, and no longer than it may wait."""

import os

import pytest
from tests.integration.hub.desk import Desk, DeskSeat
from tests.integration.hub.device import now_ms
from tests.integration.hub.stage import Actor, actor, befriend, invite_and_answer

from muster_hub.delivery import inbox
from muster_hub.delivery.inbox import Sender
from muster_hub.node import outbox
from muster_hub.store import keys
from muster_hub.store.errors import StoreCause, StoreUnavailable
from muster_protocol.errors import Refused
from muster_protocol.frames import (
    MAX_WAITING,
    Ack,
    AdmissionPush,
    AnswerPush,
    CancelInvite,
    InvitePush,
    InviteUpdatePush,
    Ok,
    Push,
    SendAnswer,
)
from muster_protocol.ids import InviteId, SessionId
from muster_protocol.reasons import Reason

LONG_AGO_MS = 60_000
"""The node's estimate of the store's clock is a little behind it."""


async def test_what_was_not_acknowledged_comes_again_when_the_device_reconnects(
    pair: tuple[Actor, Actor], desks: dict[str, Desk]
) -> None:
    ann, bob = pair
    await ann.create()
    await ann.call(bob)
    first = await bob.line.next_push(InvitePush)
    bob.line = await desks["two"].seat(bob.device)
    assert await bob.line.next_push(InvitePush) == first
    await bob.acknowledge(first)
    await ann.create()
    await ann.call(bob)
    bob.line = await desks["one"].seat(bob.device)
    assert await bob.line.next_push(InvitePush) != first
    assert not bob.line.waiting(InvitePush)


async def test_an_answer_waits_for_a_device_that_is_away_and_an_admission_in_its_session(
    pair: tuple[Actor, Actor], desk: Desk
) -> None:
    ann, bob = pair
    await ann.create()
    await ann.call(bob)
    assert isinstance(ann.line, DeskSeat)
    await desk.unseat(ann.line)
    joining = await bob.accept()
    ann.line = await desk.seat(ann.device)
    await ann.take_answer()
    assert isinstance(bob.line, DeskSeat)
    await desk.unseat(bob.line)
    assert not (await ann.admit()).rejected
    bob.line = await desk.seat(bob.device)
    shown = (await bob.show(ann.session)).admission
    assert shown is not None
    joining.on_admission(shown, now_ms())
    await bob.say_joined(joining)
    await ann.take_joined()
    assert (await bob.show(ann.session)).admission is None


async def test_pushes_come_in_the_order_in_which_they_were_put(pair: tuple[Actor, Actor], desk: Desk) -> None:
    ann, bob = pair
    assert isinstance(bob.line, DeskSeat)
    sessions = []
    for _ in range(5):
        sessions.append(await ann.create())
        await ann.call(bob)
    bob.line = await desk.seat(bob.device)
    for session in sessions:
        assert (await bob.take_invite()).received.invite.session == session


async def test_a_push_to_an_agent_of_this_node_costs_no_look_into_its_inbox(
    pair: tuple[Actor, Actor], desk: Desk
) -> None:
    ann, bob = pair
    await ann.create()
    desk.store.calls.clear()
    await invite_and_answer(ann, bob)
    assert "inbox_read" not in desk.store.calls


async def test_many_notifications_of_one_device_are_one_in_the_pass(desks: dict[str, Desk]) -> None:
    desk = desks["one"]
    bob = await _with_friends(desk)
    assert isinstance(bob.line, DeskSeat)
    await desk.unseat(bob.line)
    for each in desks.values():
        each.store.calls.clear()
    for number in range(3):
        await _put(desk, bob, number, now_ms() + 60_000)
    for each in desks.values():
        await outbox.run_once(each.hub, min_age_ms=0)
    assert [name for each in desks.values() for name in each.store.calls].count("inbox_read") == 1


async def test_an_inbox_holds_so_many_and_no_more(desk: Desk) -> None:
    bob = await _with_friends(desk)
    later = now_ms() + 60_000
    for number in range(MAX_WAITING):
        await _put(desk, bob, number, later)
    with pytest.raises(Refused) as refused:
        await _put(desk, bob, MAX_WAITING, later)
    assert refused.value.reason is Reason.OVERLOADED
    await _put(desk, bob, 7, later)


async def test_what_expired_makes_room_and_is_not_delivered(desk: Desk) -> None:
    bob = await _with_friends(desk)
    later = now_ms() + 60_000
    for number in range(1, MAX_WAITING):
        await _put(desk, bob, number, later)
    for number in range(MAX_WAITING, 2 * MAX_WAITING):
        await _put(desk, bob, number, now_ms() - LONG_AGO_MS)
    await _put(desk, bob, 0, later)
    bob.line = await desk.seat(bob.device)
    delivered = [(await bob.line.next_push(InviteUpdatePush)).invite for _ in range(MAX_WAITING)]
    assert delivered == [_invite(number) for number in (*range(1, MAX_WAITING), 0)]
    assert not bob.line.waiting(InviteUpdatePush)


async def test_what_expired_while_it_waited_is_not_delivered(desk: Desk) -> None:
    bob = await _with_friends(desk)
    assert isinstance(bob.line, DeskSeat)
    await desk.unseat(bob.line)
    await _put(desk, bob, 2, now_ms() + 60_000)
    await _put(desk, bob, 1, now_ms() - LONG_AGO_MS)
    bob.line = await desk.seat(bob.device)
    assert (await bob.line.next_push(InviteUpdatePush)).invite == _invite(2)
    assert not bob.line.waiting(InviteUpdatePush)


def _invite(number: int) -> InviteId:
    return InviteId(number.to_bytes(16, "big"))


async def _put(desk: Desk, bob: Actor, number: int, expires_ms: int) -> None:
    push = f"test.{number}"
    frame = InviteUpdatePush(
        push=push,
        session=SessionId("a" * 32),
        client=bob.client,
        invite=_invite(number),
        reason=Reason.CANCELLED,
    )
    friends = [peer for peer in bob.peers.values() if peer is not bob.device]
    friend = friends[number % len(friends)]
    await inbox.put(desk.hub, bob.client, Sender(friend.client, friend.fingerprint), push, expires_ms, frame)


async def _with_friends(desk: Desk) -> Actor:
    """Seat a device that trusts others, so that a full inbox may wait for it, within their shares."""
    bob = await actor(desk)
    for _ in range(1 + keys.MAX_INBOX // keys.MAX_INBOX_PER_SENDER):
        await bob.trust(await actor(desk))
    return bob


async def test_a_withdrawn_invite_leaves_the_inbox_and_its_end_takes_its_place(
    pair: tuple[Actor, Actor], desk: Desk
) -> None:
    ann, bob = pair
    await ann.create()
    await ann.call(bob)
    invite = (await bob.take_invite()).received.invite.invite
    await ann.call(bob)
    second = (await bob.line.next_push(InvitePush)).push
    assert second is not None
    name = InviteId(bytes.fromhex(second.removeprefix("invite.")))
    assert name != invite
    await ann.ask(CancelInvite(id=1, session=ann.session, client=bob.client, invite=name), Ok)
    bob.line = await desk.seat(bob.device)
    update = await bob.line.next_push(InviteUpdatePush)
    assert (update.invite, update.reason) == (name, Reason.CANCELLED)
    assert not bob.line.waiting(InvitePush)


async def test_an_answer_sent_twice_waits_once(pair: tuple[Actor, Actor], desk: Desk) -> None:
    ann, bob = pair
    await ann.create()
    await ann.call(bob)
    joining = await bob.accept()
    assert joining.answer is not None
    await bob.ask(SendAnswer(id=1, answer=joining.answer), Ok)
    ann.line = await desk.seat(ann.device)
    await ann.line.next_push(AnswerPush)
    assert not ann.line.waiting(AnswerPush)


async def test_what_was_acknowledged_never_comes_again(desks: dict[str, Desk]) -> None:
    """Not when the outbox repeats it, nor when it is sent again."""
    ann, bob = await actor(desks["one"]), await actor(desks["one"])
    await befriend(ann, bob)
    await ann.create()
    [joining] = await invite_and_answer(ann, bob)
    assert joining.answer is not None
    assert not (await ann.admit()).rejected
    await bob.join()
    for desk in desks.values():
        await outbox.run_once(desk.hub, min_age_ms=0)
    await bob.ask(SendAnswer(id=1, answer=joining.answer), Ok)
    for each in (ann, bob):
        each.line = await desks["two"].seat(each.device)
        await inbox.deliver(desks["two"].hub, each.client, each.line)
        assert not each.line.waiting(Push)


async def test_of_many_acknowledged_pushes_the_newest_are_known(desk: Desk) -> None:
    bob = await _with_friends(desk)
    later = now_ms() + 60_000
    for number in range(MAX_WAITING):
        await _put(desk, bob, number, later)
    await bob.ask(Ack(id=1, pushes=tuple(f"test.{number}" for number in range(MAX_WAITING - 1))), Ok)
    assert await desk.store.ask(b"HLEN", keys.inbox(bob.client)) == 1
    assert await desk.store.ask(b"ZCARD", keys.acknowledged(bob.client)) == keys.MAX_ACKNOWLEDGED
    bob.line = await desk.seat(bob.device)
    assert (await bob.line.next_push(InviteUpdatePush)).invite == _invite(MAX_WAITING - 1)
    await _put(desk, bob, MAX_WAITING - 2, later)
    await _put(desk, bob, 0, later)
    assert (await bob.line.next_push(InviteUpdatePush)).invite == _invite(0)
    assert not bob.line.waiting(InviteUpdatePush)


async def test_an_admission_that_was_not_pushed_is_pushed_from_the_outbox(desks: dict[str, Desk]) -> None:
    ann, bob = await actor(desks["one"]), await actor(desks["two"])
    await befriend(ann, bob)
    await ann.create()
    await invite_and_answer(ann, bob)

    async def crash() -> None:
        raise StoreUnavailable(StoreCause.LOST, outcome_unknown=False)

    desks["one"].store.before["look"] = crash
    assert not (await ann.admit()).rejected
    assert not bob.line.waiting(AdmissionPush)
    for desk in desks.values():
        await outbox.run_once(desk.hub, min_age_ms=0)
    await bob.join()
    await ann.take_joined()


async def test_a_push_id_is_short_enough_for_an_acknowledgement() -> None:
    assert len(inbox.invite_push(InviteId(os.urandom(16)))) <= 64
