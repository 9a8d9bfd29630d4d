"""How a device answers: what it ignores, what it remembers, and what it sends again."""

import pytest
from msgspec.structs import replace
from tests.unit.client.sessions.parts import DeviceParts, admit, call, host

from muster_client.errors import HubRefused, HubUnreachable, UnknownInvite
from muster_client.events import InviteAnswered, Invited, InviteEnded
from muster_client.sessions import joinings
from muster_client.sessions.answering import Asked, Policy
from muster_protocol.exchange import Admission, Answer, Invite
from muster_protocol.frames import GetCard, InviteUpdatePush, Ok, Purpose, SendAnswer
from muster_protocol.ids import InviteId
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, read, sign


def newest(bob: DeviceParts) -> Answer:
    """Return the answer that was sent last."""
    return read(bob.hub.newest(SendAnswer).answer, Answer)


async def invited(ann: DeviceParts, bob: DeviceParts, purpose: Purpose = Purpose.AUTO) -> Signed:
    return await call(ann, await host(ann, bob), bob, purpose)


async def test_an_invite_of_a_device_that_is_not_trusted_gets_no_answer(ann: DeviceParts, bob: DeviceParts) -> None:
    invite = await invited(ann, bob)
    bob.device.peers.untrust(ann.device.client)
    await bob.answering.on_invite(invite)
    assert bob.hub.asked == []


async def test_an_invite_whose_creators_card_the_hub_does_not_show_gets_no_answer(
    ann: DeviceParts, bob: DeviceParts
) -> None:
    bob.hub.answers(GetCard, HubRefused(Reason.NOT_MUTUALLY_TRUSTED))
    await bob.answering.on_invite(await invited(ann, bob))
    assert bob.hub.count(SendAnswer) == 0


async def test_an_invite_that_does_not_verify_gets_no_answer(ann: DeviceParts, bob: DeviceParts) -> None:
    invite = await invited(ann, bob)
    for forged in (replace(invite, signature=bytes(64)), replace(invite, body=b"\x90")):
        await bob.answering.on_invite(forged)
    assert bob.hub.count(SendAnswer) == 0


async def test_other_bytes_under_the_id_of_an_answered_invite_get_no_answer(ann: DeviceParts, bob: DeviceParts) -> None:
    invite = await invited(ann, bob)
    await bob.answering.on_invite(invite)
    assert newest(bob).reason is None
    other = sign(replace(read(invite, Invite), profile="other"), ann.device.key)
    await bob.answering.on_invite(other)
    assert bob.hub.count(SendAnswer) == 1


async def test_the_same_invite_again_gets_the_same_answer(ann: DeviceParts, bob: DeviceParts) -> None:
    invite = await invited(ann, bob)
    await bob.answering.on_invite(invite)
    first = bob.hub.newest(SendAnswer)
    await bob.answering.on_invite(invite)
    assert bob.hub.newest(SendAnswer) == first
    assert len(bob.events(InviteAnswered)) == 1


async def test_a_new_process_refuses_again_what_was_refused(ann: DeviceParts, bob: DeviceParts) -> None:
    invite = await invited(ann, bob)
    bob.device.peers.revoke(ann.device.client)
    await bob.answering.on_invite(invite)
    assert newest(bob).reason is Reason.GRANT_REVOKED
    bob.device.peers.grant(ann.device.client)
    bob.restart()
    await bob.answering.on_invite(invite)
    assert newest(bob).reason is Reason.GRANT_REVOKED


async def test_a_policy_without_automatic_joins_declines_them(ann: DeviceParts, bob: DeviceParts) -> None:
    bob.policy = Policy(auto=False)
    bob.restart()
    await bob.answering.on_invite(await invited(ann, bob))
    assert newest(bob).reason is Reason.DECLINED


async def test_a_policy_without_a_person_declines_what_asks(ann: DeviceParts, bob: DeviceParts) -> None:
    bob.policy = Policy(asked=Asked.REFUSE)
    bob.restart()
    await bob.answering.on_invite(await invited(ann, bob, Purpose.ASK))
    assert newest(bob).reason is Reason.DECLINED
    assert bob.answering.inbox() == ()


async def test_an_inbox_that_is_full_refuses(
    ann: DeviceParts, bob: DeviceParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muster_client.device.invites.MAX_INBOX", 1)
    for _ in range(2):
        await bob.answering.on_invite(await invited(ann, bob, Purpose.ASK))
    assert len(bob.answering.inbox()) == 1
    assert newest(bob).reason is Reason.DECLINED, "how full this device is concerns no other one"


async def test_what_asks_waits_once_and_is_reported_once(ann: DeviceParts, bob: DeviceParts) -> None:
    invite = await invited(ann, bob, Purpose.ASK)
    for _ in range(2):
        await bob.answering.on_invite(invite)
    assert len(bob.events(Invited)) == len(bob.answering.inbox()) == 1
    assert bob.hub.count(SendAnswer) == 0


async def test_an_answer_that_could_not_be_sent_is_sent_with_the_next_connection(
    ann: DeviceParts, bob: DeviceParts
) -> None:
    bob.hub.answers(SendAnswer, HubUnreachable("no answer"))
    await bob.answering.on_invite(await invited(ann, bob))
    unsent = bob.hub.newest(SendAnswer)
    bob.hub.answers(SendAnswer, HubRefused(Reason.SESSION_CLOSED))
    await bob.answering.flush()
    await bob.answering.flush()
    assert bob.hub.asked.count(unsent) == 2, "a refusal is final too"


async def test_an_answer_to_a_creator_whose_inbox_is_full_is_sent_again_and_the_others_for_it_after_that_one(
    ann: DeviceParts, bob: DeviceParts, cat: DeviceParts
) -> None:
    def full_inbox(request: SendAnswer) -> Ok:
        if read(request.answer, Answer).recipient == ann.device.client:
            raise HubRefused(Reason.OVERLOADED)
        return Ok(re=0)

    bob.hub.answers(SendAnswer, full_inbox)
    for caller in (ann, ann, ann, cat):
        await bob.answering.on_invite(await invited(caller, bob))
    assert newest(bob).recipient == cat.device.client
    bob.hub.asked.clear()
    await bob.answering.flush()
    assert bob.hub.count(SendAnswer) == 1, "what waits for one creator costs one request"
    bob.hub.answers(SendAnswer, Ok(re=0))
    await bob.answering.flush()
    await bob.answering.flush()
    assert bob.hub.count(SendAnswer) == 1 + 3


async def test_an_invite_leaves_the_inbox_with_the_trust_in_its_sender_and_no_one_is_told(
    ann: DeviceParts, bob: DeviceParts
) -> None:
    await bob.answering.on_invite(await invited(ann, bob, Purpose.ASK))
    (entry,) = bob.answering.inbox()
    bob.device.peers.untrust(ann.device.client)
    assert bob.answering.inbox() == ()
    for answering in (bob.answering.accept, bob.answering.decline):
        with pytest.raises(UnknownInvite):
            await answering(entry.id)
    assert bob.hub.count(SendAnswer) == 0


async def test_a_withdrawn_invite_leaves_the_inbox(ann: DeviceParts, bob: DeviceParts) -> None:
    invite = await invited(ann, bob, Purpose.ASK)
    await bob.answering.on_invite(invite)
    (entry,) = bob.answering.inbox()

    def end(name: InviteId) -> InviteUpdatePush:
        client = bob.device.client
        return InviteUpdatePush(push="p", session=entry.session, client=client, invite=name, reason=Reason.CANCELLED)

    await bob.pushes.handle(bob.connection, end(InviteId(bytes(16))))
    assert bob.answering.inbox() == (entry,)
    await bob.pushes.handle(bob.connection, end(InviteId(bytes.fromhex(entry.id))))
    assert bob.answering.inbox() == ()
    assert [(event.id, event.reason) for event in bob.events(InviteEnded)] == [(entry.id, Reason.CANCELLED)]


@pytest.mark.parametrize("answered_afresh", [False, True])
async def test_a_new_process_says_once_that_it_cannot_open_an_admission(
    ann: DeviceParts, bob: DeviceParts, answered_afresh: bool
) -> None:
    session = await host(ann, bob)
    invite = await call(ann, session, bob)
    await bob.answering.on_invite(invite)
    request = await admit(ann, session, bob.hub.newest(SendAnswer).answer)
    bob.restart()
    if answered_afresh:
        bob.hub.answers(SendAnswer, HubRefused(Reason.REPLAYED))
        await bob.answering.on_invite(invite)
        assert newest(bob).reason is None
    assert await bob.answering.on_admission(request.admissions[0]) is None
    assert newest(bob).reason is Reason.CANNOT_OPEN
    answers = bob.hub.count(SendAnswer)
    assert await bob.answering.on_admission(request.admissions[0]) is None, "the invite is over"
    assert bob.hub.count(SendAnswer) == answers
    await bob.answering.on_invite(invite)
    assert newest(bob).reason is Reason.CANNOT_OPEN


@pytest.mark.parametrize("restarted", [False, True])
async def test_an_admission_that_its_creator_may_not_have_made_gets_no_answer(
    ann: DeviceParts, bob: DeviceParts, restarted: bool
) -> None:
    session = await host(ann, bob)
    await bob.answering.on_invite(await call(ann, session, bob))
    request = await admit(ann, session, bob.hub.newest(SendAnswer).answer)
    if restarted:
        bob.restart()
    admission = request.admissions[0]
    body = read(admission, Admission)
    forged = (
        replace(admission, signature=bytes(64)),
        replace(admission, body=b"\x90"),
        sign(replace(body, invite=InviteId(bytes(16))), ann.device.key),
        sign(replace(body, invite_hash=bytes(32)), ann.device.key),
        sign(replace(body, answer_hash=bytes(32)), bob.device.key),
    )
    for one in forged:
        assert await bob.answering.on_admission(one) is None
    assert bob.hub.count(SendAnswer) == 1
    opened = await bob.answering.on_admission(admission)
    assert (opened is not None) is not restarted, "and the true one still counts"
    assert bob.hub.count(SendAnswer) == (2 if restarted else 1)


async def test_an_admission_to_an_invite_that_was_refused_is_ignored(ann: DeviceParts, bob: DeviceParts) -> None:
    session = await host(ann, bob)
    await bob.answering.on_invite(await call(ann, session, bob))
    request = await admit(ann, session, bob.hub.newest(SendAnswer).answer)
    bob.answering.on_ended(read(request.admissions[0], Admission).invite, Reason.CANCELLED)
    assert await bob.answering.on_admission(request.admissions[0]) is None
    assert bob.hub.count(SendAnswer) == 1


async def test_the_oldest_answer_to_the_sender_with_the_most_is_forgotten_beyond_the_limit(
    ann: DeviceParts, bob: DeviceParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joinings, "MAX_JOININGS", 1)
    session = await host(ann, bob)
    await bob.answering.on_invite(await call(ann, session, bob))
    request = await admit(ann, session, bob.hub.newest(SendAnswer).answer)
    await bob.answering.on_invite(await invited(ann, bob))
    assert await bob.answering.on_admission(request.admissions[0]) is None
    assert newest(bob).reason is Reason.CANNOT_OPEN
