"""A device that was trusted or granted something, and is no longer."""

import os

from tests.attacks.stored import changed, stored
from tests.integration.hub.desk import Desk
from tests.integration.hub.stage import Actor, befriend, call_in, invite_and_answer

from muster_hub.node import outbox
from muster_hub.store import keys
from muster_protocol.frames import (
    CancelInvite,
    CloseSession,
    GetCard,
    InvitePush,
    InviteUpdatePush,
    ListSessions,
    MemberState,
    Ok,
    PresenceReply,
    PresenceState,
    Purpose,
    SessionsReply,
    Who,
)
from muster_protocol.ids import GrantId
from muster_protocol.reasons import Reason


async def test_a_former_friends_inbox_is_closed_to_ends_of_invites(pair: tuple[Actor, Actor], desk: Desk) -> None:
    ann, bob = pair
    for close in (False, True):
        await ann.create()
        await ann.call(bob)
        invite = (await bob.take_invite()).received.invite.invite
        await bob.say(bob.device.untrust(ann.device))
        before = await stored(desk)
        cancel = CancelInvite(id=1, session=ann.session, client=bob.client, invite=invite)
        await ann.ask(CloseSession(id=1, session=ann.session) if close else cancel, Ok)
        for node in desk.all:
            await outbox.run_once(node.hub, min_age_ms=0)
        assert keys.inbox(bob.client) not in changed(before, await stored(desk))
        assert not bob.line.waiting(InviteUpdatePush)
        await befriend(ann, bob)


async def test_trust_that_is_taken_back_ends_all_at_once(pair: tuple[Actor, Actor]) -> None:
    """From the acknowledgement on: no session, no join that was under way, no call, no presence, no card."""
    ann, bob = pair
    session = await ann.create()
    await call_in(ann, bob)
    await ann.create()
    await invite_and_answer(ann, bob)
    await bob.say(bob.device.untrust(ann.device))
    assert (await bob.ask(ListSessions(id=1), SessionsReply)).sessions == ()
    assert [member.state for member in (await ann.show(session)).members] == [MemberState.JOINED, MemberState.OUT]
    rejected = (await ann.admit()).rejected
    assert [(each.client, each.reason) for each in rejected] == [(bob.client, Reason.NOT_MUTUALLY_TRUSTED)]
    for purpose in Purpose:
        results = (await ann.call(bob, purpose=purpose)).results
        assert [each.reason for each in results] == [Reason.NOT_MUTUALLY_TRUSTED]
    seen = (await ann.ask(Who(id=1, clients=(bob.client,)), PresenceReply)).devices
    assert [each.state for each in seen] == [PresenceState.HIDDEN]
    assert (await ann.refused(GetCard(id=1, client=bob.client))).reason is Reason.NOT_MUTUALLY_TRUSTED
    assert not bob.line.waiting(InvitePush)


async def test_a_grant_that_is_taken_back_ends_automatic_joins_alone(pair: tuple[Actor, Actor]) -> None:
    ann, bob = pair
    grant = GrantId(os.urandom(16))
    await bob.say(bob.device.grant(ann.device, grant=grant))
    session = await ann.create()
    await call_in(ann, bob)
    await ann.create()
    await invite_and_answer(ann, bob)
    await bob.say(bob.device.revocation(ann.device, grant))
    rejected = (await ann.admit()).rejected
    assert [(each.client, each.reason) for each in rejected] == [(bob.client, Reason.GRANT_REVOKED)]
    assert [each.reason for each in (await ann.call(bob)).results] == [Reason.GRANT_REVOKED]
    assert not bob.line.waiting(InvitePush)
    assert [each.reason for each in (await ann.call(bob, purpose=Purpose.ASK)).results] == [None]
    assert [member.state for member in (await ann.show(session)).members] == [MemberState.JOINED] * 2
