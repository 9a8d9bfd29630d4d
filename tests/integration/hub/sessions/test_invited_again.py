"""A member that is invited again while it is seated or joined (SPEC.md section 8.5)."""

import pytest
from tests.integration.hub.desk import Desk
from tests.integration.hub.device import now_ms
from tests.integration.hub.stage import Actor, actor, befriend, call_in, invite_and_answer, receive_key

from muster_hub.sessions.membership import remove_unjoined
from muster_protocol.frames import MemberState, Ok, SendAnswer, SendJoined
from muster_protocol.ids import SessionId
from muster_protocol.reasons import Reason, Sayer


async def states(creator: Actor, session: SessionId) -> list[MemberState]:
    return [member.state for member in (await creator.show(session)).members]


async def refuse(member: Actor, reason: Reason) -> None:
    joining = await member.take_invite()
    await member.ask(SendAnswer(id=1, answer=joining.refuse(reason, now_ms())), Ok)


async def test_a_member_stays_one_until_it_is_admitted_again(pair: tuple[Actor, Actor]) -> None:
    ann, bob = pair
    session = await ann.create()
    await call_in(ann, bob)
    await invite_and_answer(ann, bob)
    assert await states(ann, session) == [MemberState.JOINED] * 2
    before = await ann.show(session)
    assert not (await ann.admit()).rejected
    assert await states(ann, session) == [MemberState.JOINED, MemberState.SEATED]
    shown = await ann.show(session)
    assert (len(before.joined), shown.joined, shown.epoch) == (1, (), before.epoch + 1)
    await bob.join()
    assert await states(ann, session) == [MemberState.JOINED] * 2


@pytest.mark.parametrize("joined", [True, False])
async def test_a_member_that_refuses_before_it_joined_goes_with_the_next_epoch(desk: Desk, *, joined: bool) -> None:
    ann, bob, cat = [await actor(desk) for _ in range(3)]
    await befriend(ann, bob, cat)
    session = await ann.create()
    await invite_and_answer(ann, bob)
    assert not (await ann.admit()).rejected
    if joined:
        await bob.join()
        await ann.take_joined()
    await ann.call(bob)
    await refuse(bob, Reason.DECLINED)
    await ann.take_answer()
    assert await states(ann, session) == [MemberState.JOINED, MemberState.JOINED if joined else MemberState.SEATED]
    await invite_and_answer(ann, cat)
    assert not (await ann.admit()).rejected
    members = {member.client: member.state for member in (await ann.show(session)).members}
    assert members[bob.client] is (MemberState.JOINED if joined else MemberState.OUT)


async def test_nothing_that_is_said_of_the_earlier_seat_counts_for_the_new_one(
    pair: tuple[Actor, Actor], desk: Desk
) -> None:
    ann, bob = pair
    session = await ann.create()
    (earlier,) = await invite_and_answer(ann, bob)
    assert not (await ann.admit()).rejected
    await bob.take_admission()
    joined = earlier.joined_statement(receive_key(), now_ms())
    await invite_and_answer(ann, bob)
    assert not (await ann.admit()).rejected
    assert (await bob.refused(SendJoined(id=1, joined=joined))).reason is Reason.MISMATCH
    refusal = earlier.refuse(Reason.CANNOT_OPEN, now_ms())
    assert (await bob.refused(SendAnswer(id=1, answer=refusal))).reason is Reason.MISMATCH
    await remove_unjoined(desk.hub, session, bob.client, earlier.received.invite.invite)
    assert await states(ann, session) == [MemberState.JOINED, MemberState.SEATED]
    await bob.say_joined(await bob.take_admission())
    assert await states(ann, session) == [MemberState.JOINED] * 2


async def test_an_invite_that_ends_without_an_answer_changes_nothing(pair: tuple[Actor, Actor]) -> None:
    ann, bob = pair
    session = await ann.create()
    await call_in(ann, bob)
    await ann.call(bob)
    ann.inviting.refuse(bob.client, Reason.NO_ANSWER, Sayer.DEVICE)
    assert bob.client in ann.inviting.epoch.epoch.clients
    assert ann.inviting.has_joined(bob.client)
    assert await states(ann, session) == [MemberState.JOINED] * 2
