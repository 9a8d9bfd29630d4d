"""A trusted peer that takes in none of the answers of a device, which is to be kept busy with them."""

import os

import pytest
from msgspec.structs import replace
from tests.unit.client.conftest import ManualClock, clock, make_device
from tests.unit.client.sessions.conftest import ann, bob, cat
from tests.unit.client.sessions.parts import DeviceParts, admit, call, host

from muster_client.device.invites import KEPT_AFTER_MS
from muster_client.errors import HubRefused
from muster_client.sessions import joinings
from muster_protocol.exchange import DEFAULT_INVITE_MS, Admission, Answer
from muster_protocol.frames import Ok, SendAnswer
from muster_protocol.ids import Hash
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, read, sign

__all__ = ["ann", "bob", "cat", "clock", "make_device"]

FULL = HubRefused(Reason.OVERLOADED)


def sent(bob: DeviceParts) -> list[Answer]:
    return [read(asked.answer, Answer) for asked in bob.hub.asked if isinstance(asked, SendAnswer)]


async def bad_admission(ann: DeviceParts, bob: DeviceParts) -> Signed:
    """Have a device answer an invite, and admit it by an answer that it did not give."""
    session = await host(ann, bob)
    await bob.answering.on_invite(await call(ann, session, bob))
    answer = bob.answering._joinings.unsent()[-1]
    request = await admit(ann, session, answer)
    made_up = replace(read(request.admissions[0], Admission), answer_hash=Hash(os.urandom(32)))
    return sign(made_up, ann.device.key)


async def test_an_invite_costs_no_request_while_the_inbox_of_its_creator_is_full(
    ann: DeviceParts, bob: DeviceParts, cat: DeviceParts
) -> None:
    bob.hub.answers(SendAnswer, FULL)
    for _ in range(3):
        await bob.answering.on_invite(await call(ann, await host(ann, bob), bob))
    assert len(sent(bob)) == 1
    bob.hub.asked.clear()
    bob.hub.answers(SendAnswer, Ok(re=0))
    await bob.answering.on_invite(await call(cat, await host(cat, bob), bob))
    assert [answer.recipient for answer in sent(bob)] == [cat.device.client], "what waits for others is not sent before"


async def test_refusals_that_an_admission_causes_wait_in_a_table_that_is_bounded(
    ann: DeviceParts, bob: DeviceParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joinings, "MAX_JOININGS", 3)
    bob.hub.answers(SendAnswer, FULL)
    for _ in range(5):
        assert not await bob.membership.on_admission(await bad_admission(ann, bob))
    bob.hub.asked.clear()
    bob.hub.answers(SendAnswer, Ok(re=0))
    await bob.answering.flush()
    assert [answer.reason for answer in sent(bob)] == [Reason.CANNOT_OPEN] * 3


async def test_a_refusal_that_an_admission_causes_waits_no_longer_than_its_invite_is_remembered(
    ann: DeviceParts, bob: DeviceParts, clock: ManualClock
) -> None:
    bob.hub.answers(SendAnswer, FULL)
    assert not await bob.membership.on_admission(await bad_admission(ann, bob))
    bob.hub.asked.clear()
    clock.go_on(DEFAULT_INVITE_MS + KEPT_AFTER_MS)
    await bob.answering.flush()
    assert bob.hub.asked == []
