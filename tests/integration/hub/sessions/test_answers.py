"""An answer is taken from the device that was called, once, while its invite lives; else it is told why not."""

import os

from tests.integration.hub.device import now_ms
from tests.integration.hub.sessions.test_refusals import changed
from tests.integration.hub.stage import Actor

from muster_protocol.exchange import Answer, Invite
from muster_protocol.frames import (
    CancelInvite,
    CloseSession,
    Error,
    InviteResults,
    Ok,
    SendAnswer,
    SendInvites,
)
from muster_protocol.ids import ClientId, Hash, SessionId, TimeMs
from muster_protocol.reasons import Reason
from muster_protocol.sealing import PublicReceiveKey
from muster_protocol.signed import Signed, read, sign


async def test_a_refusal_reaches_the_creator_and_ends_the_invite(pair: tuple[Actor, Actor]) -> None:
    ann, bob = pair
    await ann.create()
    await ann.call(bob)
    joining = await bob.take_invite()
    await bob.ask(SendAnswer(id=1, answer=joining.refuse(Reason.DECLINED, now_ms())), Ok)
    await ann.take_answer()
    assert ann.inviting.targets[bob.client].reason is Reason.DECLINED
    assert (await answer_again(bob, joining.answer)).reason is Reason.REPLAYED


async def answer_again(bob: Actor, answer: Signed | None, **fields: object) -> Error:
    """Answer with other fields: by default an acceptance under another receive key."""
    assert answer is not None
    body = read(answer, Answer)
    named = {name: getattr(body, name) for name in body.__struct_fields__}
    changes = {"receive_key": os.urandom(1216), "reason": None} | fields
    return await bob.refused(SendAnswer(id=9, answer=sign(Answer(**(named | changes)), bob.device.key)))


async def test_an_answer_is_refused_for_its_reason(pair: tuple[Actor, Actor]) -> None:
    ann, bob = pair
    await ann.create()
    await ann.call(bob)
    joining = await bob.accept()
    answer = joining.answer
    assert (await answer_again(bob, answer)).reason is Reason.REPLAYED
    assert (await answer_again(bob, answer, invite=bytes(16))).reason is Reason.MISMATCH
    assert (await answer_again(bob, answer, session=SessionId("a" * 32))).reason is Reason.MISMATCH
    assert (await answer_again(bob, answer, sender=ClientId("a" * 32))).reason is Reason.MISMATCH
    assert (await answer_again(bob, answer, recipient=ClientId("a" * 32))).reason is Reason.WRONG_RECIPIENT
    assert (await answer_again(bob, answer, receive_key=None)).reason is Reason.MALFORMED
    assert answer is not None
    await bob.ask(SendAnswer(id=1, answer=answer), Ok)


async def test_an_answer_to_what_was_withdrawn_says_so(pair: tuple[Actor, Actor]) -> None:
    ann, bob = pair
    await ann.create()
    await ann.call(bob)
    joining = await bob.take_invite()
    invite = joining.received.invite
    cancel = CancelInvite(id=1, session=ann.session, client=bob.client, invite=invite.invite)
    await ann.ask(cancel, Ok)
    await ann.ask(cancel, Ok)
    answer = joining.refuse(Reason.DECLINED, now_ms())
    assert (await answer_again(bob, answer)).reason is Reason.CANCELLED
    assert (await bob.refused(cancel)).reason is Reason.NOT_A_MEMBER

    await ann.call(bob)
    joining = await bob.take_invite()
    await ann.ask(CloseSession(id=1, session=ann.session), Ok)
    answer = joining.refuse(Reason.DECLINED, now_ms())
    assert (await answer_again(bob, answer)).reason is Reason.SESSION_CLOSED


async def test_an_answer_after_the_invite_ran_out_says_so(pair: tuple[Actor, Actor]) -> None:
    ann, bob = pair
    await ann.create()
    invite = changed(ann.invite(bob, lasts_ms=60_000), ann, at=TimeMs(now_ms()), expires_at=TimeMs(now_ms() + 1))
    # The store's clock has moved on by more than a millisecond once the invite's push has come.
    await ann.ask(SendInvites(id=1, session=ann.session, invites=(invite,)), InviteResults)
    body = read(invite, Invite)
    answer = Answer(
        session=body.session,
        invite=body.invite,
        sender=bob.client,
        recipient=ann.client,
        sender_key=bob.device.fingerprint,
        recipient_key=ann.device.fingerprint,
        purpose=body.purpose,
        mode=body.mode,
        profile=body.profile,
        protocol=body.protocol,
        at=now_ms(),
        invite_hash=Hash(bytes(32)),
        receive_key=PublicReceiveKey(os.urandom(1216)),
        reason=None,
    )
    await bob.say(*(bob.device.grant(ann.device) for _ in range(8)))
    assert (await answer_again(bob, sign(answer, bob.device.key))).reason is Reason.EXPIRED
