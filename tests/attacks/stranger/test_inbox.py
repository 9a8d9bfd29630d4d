"""Devices that write, or try to write, into the inbox of one that does not trust them."""

from tests.attacks.stored import changed, stored
from tests.integration.hub.desk import Desk
from tests.integration.hub.sessions.test_strangers import STRANGERS
from tests.integration.hub.stage import Actor, actor, befriend, invite_and_answer

from muster_hub.node import outbox
from muster_hub.store import keys
from muster_protocol.exchange import Answer
from muster_protocol.frames import CancelInvite, Error, InviteUpdatePush, Ok, SendAnswer
from muster_protocol.ids import InviteId
from muster_protocol.reasons import Reason
from muster_protocol.signed import read

OUTBOX = b":out"


async def ended_invite(stranger: Actor, accomplice: Actor) -> InviteId:
    """Let a stranger invite its accomplice and cancel that invite, which then has ended."""
    await stranger.create()
    await stranger.call(accomplice)
    invite = (await accomplice.take_invite()).received.invite.invite
    await stranger.ask(CancelInvite(id=1, session=stranger.session, client=accomplice.client, invite=invite), Ok)
    return invite


async def test_cancelling_ended_invites_writes_to_no_inbox(desk: Desk) -> None:
    for state in STRANGERS:
        stranger, accomplice = await actor(desk), await actor(desk)
        await befriend(stranger, accomplice)
        victim = await state(desk, stranger)
        await stranger.say(stranger.device.trust(victim))
        invite = await ended_invite(stranger, accomplice)
        before = await stored(desk)
        request = CancelInvite(id=1, session=stranger.session, client=victim.client, invite=invite)
        assert (await stranger.refused(request)).reason is Reason.MISMATCH
        await outbox.run_once(desk.hub, min_age_ms=0)
        left = {name for name in changed(before, await stored(desk)) if not name.endswith((OUTBOX, b":drained"))}
        assert not left, state.__name__


async def test_an_end_of_an_invite_is_told_once(pair: tuple[Actor, Actor], desk: Desk) -> None:
    ann, bob = pair
    await ann.create()
    await ann.call(bob)
    invite = (await bob.take_invite()).received.invite.invite
    request = CancelInvite(id=1, session=ann.session, client=bob.client, invite=invite)
    await ann.ask(request, Ok)
    await bob.acknowledge(await bob.line.next_push(InviteUpdatePush))
    before = await stored(desk)
    await ann.ask(request, Ok)
    assert changed(before, await stored(desk)) == set()


async def test_one_invite_is_refused_once(pair: tuple[Actor, Actor], desk: Desk) -> None:
    """Refusals of one invite, in other bytes each time, do not fill the creator's inbox."""
    ann, bob = pair
    await ann.create()
    await ann.call(bob)
    joining = await bob.take_invite()
    await bob.ask(SendAnswer(id=1, answer=joining.refuse(Reason.DECLINED, joining.received.invite.at)), Ok)
    before = await stored(desk)
    for late_ms in range(1, 4):
        other = joining.refuse(Reason.DECLINED, joining.received.invite.at + late_ms)  # type: ignore[arg-type]
        assert (await bob.refused(SendAnswer(id=1, answer=other))).reason is Reason.REPLAYED
    assert changed(before, await stored(desk)) == set()


async def test_a_seat_is_given_up_once(pair: tuple[Actor, Actor], desk: Desk) -> None:
    ann, bob = pair
    await ann.create()
    [joining] = await invite_and_answer(ann, bob)
    assert joining.answer is not None
    accepted = read(joining.answer, Answer)
    assert not (await ann.admit()).rejected
    replies, names = [], set()
    for late_ms in range(3):
        given_up = bob.device.sign(given_up_by(accepted, accepted.at + late_ms))
        replies.append(await bob.line.ask_any(SendAnswer(id=1, answer=given_up)))
        names.add(await desk.store.ask(b"HLEN", keys.inbox(ann.client)))
    assert isinstance(replies[0], Ok)
    assert all(isinstance(reply, Error) and reply.reason is Reason.REPLAYED for reply in replies[1:])
    assert len(names) == 1


def given_up_by(accepted: Answer, at: int) -> Answer:
    values = {name: getattr(accepted, name) for name in accepted.__struct_fields__}
    return Answer(**values | {"receive_key": None, "reason": Reason.CANNOT_OPEN, "at": at})
