"""A device that was called before its creator trusted it no longer, and that answers, or waits to be told of an end."""

from collections.abc import Callable

import pytest
from tests.attacks.stored import changed, stored
from tests.integration.hub.desk import Desk
from tests.integration.hub.device import now_ms
from tests.integration.hub.stage import Actor, actor, befriend, receive_key

from muster_hub.node import outbox
from muster_hub.store import keys
from muster_protocol.frames import (
    AnswerPush,
    CancelInvite,
    CloseSession,
    InvitePush,
    InviteUpdatePush,
    Ok,
    Request,
    SendAnswer,
    SendInvites,
)
from muster_protocol.joining import Joining
from muster_protocol.reasons import Reason

REFUSALS = (Reason.DECLINED, Reason.KEY_MISMATCH)

Later = Callable[[Actor, Actor, Joining], Request]


def closes(creator: Actor, friend: Actor, called: Joining) -> Request:
    return CloseSession(id=1, session=creator.session)


def cancels(creator: Actor, friend: Actor, called: Joining) -> Request:
    return CancelInvite(id=1, session=creator.session, client=friend.client, invite=called.received.invite.invite)


def answers(called: Joining) -> list[Request]:
    said = [called.accept(receive_key(), now_ms()), *(called.refuse(reason, now_ms()) for reason in REFUSALS)]
    return [SendAnswer(id=1, answer=each) for each in said]


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("later", [closes, cancels])
async def test_an_invite_ends_with_the_trust_and_nobody_is_told(desk: Desk, later: Later, answered: bool) -> None:
    ann, bob = await actor(desk), await actor(desk)
    await befriend(ann, bob)
    await ann.create()
    await ann.call(bob)
    called = await bob.take_invite()
    requests = answers(called)
    if answered:
        await bob.ask(requests[0], Ok)
    await ann.say(ann.device.untrust(bob.device))
    before = await stored(desk)
    replies = [await bob.refused(each) for each in requests]
    assert [each.reason for each in replies] == [Reason.CANCELLED] * len(requests)
    assert changed(before, await stored(desk)) == set()
    await ann.line.ask_any(later(ann, bob, called))
    for node in desk.all:
        await outbox.run_once(node.hub, min_age_ms=0)
    assert keys.inbox(bob.client) not in changed(before, await stored(desk))
    assert [await bob.refused(each) for each in requests] == replies
    assert not bob.line.waiting(InviteUpdatePush)
    assert not ann.line.waiting(InviteUpdatePush)
    assert len(ann.line.waiting(AnswerPush)) == answered


async def test_a_cut_that_is_made_again_ends_no_later_invite(desk: Desk) -> None:
    ann, bob = await actor(desk), await actor(desk)
    await befriend(ann, bob)
    await ann.create()
    await ann.say(ann.device.untrust(bob.device))
    await befriend(ann, bob)
    await ann.call(bob)
    for node in desk.all:
        await outbox.run_once(node.hub, min_age_ms=0)
    await bob.accept()


async def test_no_invite_goes_on_that_was_decided_before_the_untrust(desk: Desk) -> None:
    ann, bob = await actor(desk), await actor(desk)
    await befriend(ann, bob)
    await ann.create()
    invite = ann.invite(bob)

    async def untrust() -> None:
        await ann.say(ann.device.untrust(bob.device))

    desk.store.before["invite_live"] = untrust
    request = SendInvites(id=1, session=ann.session, invites=(invite,))
    assert (await ann.refused(request)).reason is Reason.OVERLOADED
    assert not bob.line.waiting(InvitePush)
