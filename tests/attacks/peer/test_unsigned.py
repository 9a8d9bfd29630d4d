"""A member whose word its creator cannot verify: the hub gives no seat by it, and takes no member out."""

import pytest
from msgspec.structs import replace
from tests.attacks.stored import changed, stored
from tests.integration.hub.desk import Desk
from tests.integration.hub.device import now_ms
from tests.integration.hub.stage import Actor, actor, befriend, invite_and_answer, receive_key

from muster_protocol.frames import AnswerPush, JoinedPush, SendAnswer, SendJoined
from muster_protocol.ids import Signature
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed


def unsigned(signed: Signed) -> Signed:
    return replace(signed, signature=Signature(bytes(64)))


@pytest.fixture
async def pair(desk: Desk) -> tuple[Actor, Actor]:
    ann, bob = [await actor(desk) for _ in range(2)]
    await befriend(ann, bob)
    await ann.create()
    return ann, bob


async def test_no_joined_that_does_not_verify_keeps_a_seat(desk: Desk, pair: tuple[Actor, Actor]) -> None:
    ann, bob = pair
    await invite_and_answer(ann, bob)
    assert not (await ann.admit()).rejected
    joined = (await bob.take_admission()).joined_statement(receive_key(), now_ms())
    before = await stored(desk)
    assert (await bob.refused(SendJoined(id=1, joined=unsigned(joined)))).reason is Reason.BAD_SIGNATURE
    assert changed(before, await stored(desk)) == set()
    assert ann.line.waiting(JoinedPush) == []


async def test_no_answer_that_does_not_verify_takes_a_member_out(desk: Desk, pair: tuple[Actor, Actor]) -> None:
    ann, bob = pair
    await invite_and_answer(ann, bob)
    assert not (await ann.admit()).rejected
    refusal = (await bob.take_admission()).refuse(Reason.CANNOT_OPEN, now_ms())
    before = await stored(desk)
    assert (await bob.refused(SendAnswer(id=1, answer=unsigned(refusal)))).reason is Reason.BAD_SIGNATURE
    assert changed(before, await stored(desk)) == set()
    assert ann.line.waiting(AnswerPush) == []
