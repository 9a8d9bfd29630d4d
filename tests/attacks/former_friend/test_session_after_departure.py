"""A device that is out of a session, and goes on asking about it."""

from collections.abc import Awaitable, Callable

import pytest
from tests.integration.hub.desk import Desk
from tests.integration.hub.device import now_ms
from tests.integration.hub.sessions.test_sessions import leave
from tests.integration.hub.stage import Actor, actor, age_seats, befriend, call_in, invite_and_answer, receive_key

from muster_hub.node import outbox
from muster_protocol.exchange import JOIN_DEADLINE_MS
from muster_protocol.frames import (
    AnswerPush,
    CloseSession,
    EpochPush,
    InvitePush,
    JoinedPush,
    LeavePush,
    MemberState,
    Ok,
    ResumeSession,
    SendAnswer,
    SendInvites,
    SendJoined,
    SessionKind,
    SessionReply,
    SessionUpdatePush,
)
from muster_protocol.ids import SessionId
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason

LIVE_PUSHES = (EpochPush, JoinedPush, LeavePush, SessionUpdatePush)


async def by_its_own_word(desk: Desk, creator: Actor, member: Actor) -> None:
    await call_in(creator, member)
    await member.ask(leave(member, creator.session), Ok)


async def because_the_creator_trusts_it_no_more(desk: Desk, creator: Actor, member: Actor) -> None:
    await call_in(creator, member)
    await creator.say(creator.device.untrust(member.device))


async def because_it_trusts_the_creator_no_more(desk: Desk, creator: Actor, member: Actor) -> None:
    await call_in(creator, member)
    await member.say(member.device.untrust(creator.device))


async def because_its_key_was_rotated(desk: Desk, creator: Actor, member: Actor) -> None:
    await call_in(creator, member)
    member.device.rotate()
    member.line = await desk.seat(member.device)
    await finish(desk)


async def because_it_never_joined(desk: Desk, creator: Actor, member: Actor) -> None:
    await invite_and_answer(creator, member)
    assert not (await creator.admit()).rejected
    await age_seats(desk, creator.session, 2 * JOIN_DEADLINE_MS)
    await finish(desk)


async def because_it_could_not_open(desk: Desk, creator: Actor, member: Actor) -> None:
    [joining] = await invite_and_answer(creator, member)
    assert not (await creator.admit()).rejected
    await member.ask(SendAnswer(id=1, answer=joining.refuse(Reason.CANNOT_OPEN, now_ms())), Ok)
    await creator.take_answer()


async def finish(desk: Desk) -> None:
    """Make the cuts, and take back the seats, that are due; whichever node has to."""
    for each in desk.all:
        await outbox.run_once(each.hub, min_age_ms=0)


Departure = Callable[[Desk, Actor, Actor], Awaitable[None]]
DEPARTURES: list[Departure] = [
    by_its_own_word,
    because_the_creator_trusts_it_no_more,
    because_it_trusts_the_creator_no_more,
    because_its_key_was_rotated,
    because_it_never_joined,
    because_it_could_not_open,
]


async def everything(who: Actor, session: SessionId) -> list[SessionReply]:
    """Return what a device is shown that claims to have any of the epochs."""
    return [await who.show(session, after=number) for number in range(8)]


@pytest.mark.parametrize("departure", DEPARTURES)
async def test_a_former_member_sees_nothing_later_than_its_end(desk: Desk, departure: Departure) -> None:
    ann, bob, dan, eve, gil = [await actor(desk) for _ in range(5)]
    await befriend(ann, bob, dan, eve, gil)
    session = await ann.create()
    await call_in(ann, dan)
    await departure(desk, ann, bob)
    at_its_end = await everything(bob, session)
    first = at_its_end[0]
    assert [(row.client, row.state) for row in first.members] == [(bob.client, MemberState.OUT)]
    assert (first.open, first.epoch, len(first.epochs)) == (False, 3, 3)
    assert (first.joined, first.sealed, first.admission) == ((), None, None)
    for kind in LIVE_PUSHES:
        while bob.line.waiting(kind):
            await bob.line.next_push(kind)
    ann.store.pins.pop(bob.client, None)  # so its next epochs leave the device out
    for later in (
        lambda: call_in(ann, eve),
        lambda: dan.ask(leave(dan, session), Ok),
        lambda: ann.say(ann.device.untrust(eve.device)),
        lambda: ann.ask(CloseSession(id=1, session=session), Ok),
    ):
        await later()
        assert await everything(bob, session) == at_its_end
    assert not [kind.__name__ for kind in LIVE_PUSHES if bob.line.waiting(kind)]


async def test_a_former_member_wakes_no_member_and_hears_no_end(pair: tuple[Actor, Actor]) -> None:
    ann, bob = pair
    session = await ann.create()
    await call_in(ann, bob)
    left = leave(bob, session)
    joined = SendJoined(id=1, joined=bob.joining[session].joined_statement(receive_key(), now_ms()))
    await bob.ask(left, Ok)
    await ann.line.next_push(LeavePush)
    requests = (left, joined, ResumeSession(id=1, session=session), CloseSession(id=1, session=session))
    replies = [await bob.line.ask_any(request) for request in requests]
    assert [getattr(reply, "reason", None) for reply in replies] == [None, *[Reason.NOT_A_MEMBER] * 3]
    await ann.ask(CloseSession(id=1, session=session), Ok)
    assert [await bob.line.ask_any(request) for request in requests] == replies
    assert not [kind.__name__ for kind in LIVE_PUSHES if ann.line.waiting(kind)]


async def test_a_seat_that_was_given_up_is_told_once(pair: tuple[Actor, Actor]) -> None:
    ann, bob = pair
    await ann.create()
    [joining] = await invite_and_answer(ann, bob)
    assert not (await ann.admit()).rejected
    given_up = SendAnswer(id=1, answer=joining.refuse(Reason.CANNOT_OPEN, now_ms()))
    for _ in range(3):
        await bob.ask(given_up, Ok)
    assert len(ann.line.waiting(AnswerPush)) == 1
    assert not ann.line.waiting(SessionUpdatePush), "the creator has the device's own word"


async def test_a_creator_that_is_out_hears_of_no_member_and_calls_none(desk: Desk) -> None:
    ann, bob, dan = [await actor(desk) for _ in range(3)]
    await befriend(ann, bob, dan)
    session = await ann.create()
    await call_in(ann, bob)
    await ann.ask(leave(ann, session), Ok)
    await bob.ask(ResumeSession(id=1, session=session), Ok)
    assert not ann.line.waiting(SessionUpdatePush)
    request = SendInvites(id=1, session=session, invites=(ann.invite(dan),))
    assert (await ann.refused(request)).reason is Reason.NOT_A_MEMBER
    assert not dan.line.waiting(InvitePush)


async def test_a_creator_is_shown_nothing_that_a_former_member_says_later(desk: Desk) -> None:
    ann, bob, dan = [await actor(desk) for _ in range(3)]
    await befriend(ann, bob, dan)
    session = await ann.create(kind=SessionKind.MESH)
    await call_in(ann, bob, dan)
    await bob.say(bob.device.untrust(ann.device))
    at_its_end = (await ann.show(session)).departures
    assert [(each.client, each.kind) for each in at_its_end] == [(bob.client, Kind.UNTRUST)]
    await bob.say(bob.device.untrust(dan.device))
    assert (await ann.show(session)).departures == at_its_end
    bob.device.rotate()
    bob.line = await desk.seat(bob.device)
    await finish(desk)
    assert (await ann.show(session)).departures == at_its_end
