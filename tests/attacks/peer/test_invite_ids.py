"""A creator that gives invites to several devices one id, so that what the hub keeps of one takes another's place."""

import os

from tests.integration.hub.desk import Desk
from tests.integration.hub.device import now_ms
from tests.integration.hub.stage import Actor, actor, befriend

from muster_protocol.frames import AnswerPush, CancelInvite, InviteResults, Ok, SendAnswer, SendInvites
from muster_protocol.ids import InviteId
from muster_protocol.reasons import Reason


async def invite_all(creator: Actor, invite: bytes, *targets: Actor) -> list[Reason | None]:
    """Invite these devices with one request, under one id."""
    signed = tuple(creator.invite(target, invite=invite) for target in targets)
    replied = await creator.ask(SendInvites(id=2, session=creator.session, invites=signed), InviteResults)
    return [result.reason for result in replied.results]


async def test_no_id_of_an_invite_is_live_for_two_devices(desk: Desk) -> None:
    creator, called, other = [await actor(desk) for _ in range(3)]
    await befriend(creator, called, other)
    await creator.create()
    at_once, ended = os.urandom(16), os.urandom(16)
    assert await invite_all(creator, at_once, called, other) == [None, Reason.REPLAYED]
    assert await invite_all(creator, at_once, other) == [Reason.REPLAYED]
    assert await invite_all(creator, ended, other) == [None]
    cancel = CancelInvite(id=3, session=creator.session, client=other.client, invite=InviteId(ended))
    await creator.ask(cancel, Ok)
    assert await invite_all(creator, ended, called) == [Reason.REPLAYED]


async def test_no_other_device_takes_a_devices_refusal_of_its_seat_away(desk: Desk) -> None:
    creator, called, helper = [await actor(desk) for _ in range(3)]
    await befriend(creator, called, helper)
    await creator.create()
    invite = os.urandom(16)
    await invite_all(creator, invite, called)
    helped = await invite_all(creator, invite, helper) == [None]
    joining = await called.accept()
    await creator.take_answer()
    await creator.admit()
    if helped:
        declined = (await helper.take_invite()).refuse(Reason.DECLINED, now_ms())
        await helper.ask(SendAnswer(id=4, answer=declined), Ok)
    await called.ask(SendAnswer(id=4, answer=joining.refuse(Reason.CANNOT_OPEN, now_ms())), Ok)
    assert (await creator.next_push(AnswerPush)).answer.signer == called.device.fingerprint
    [seat] = [each for each in (await creator.show(creator.session)).members if each.client == called.client]
    assert seat.state == "out"
