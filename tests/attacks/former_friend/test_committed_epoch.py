"""A creator that sends a committed epoch again, with other admissions and sealed keys, after a member untrusted it."""

import os
from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace
from tests.attacks.stored import changed, stored
from tests.integration.hub.desk import Desk, DeskSeat
from tests.integration.hub.device import now_ms
from tests.integration.hub.stage import Actor, actor, befriend, call_in, invite_and_answer

from muster_hub.node import outbox
from muster_hub.store import keys
from muster_protocol.connect import Role
from muster_protocol.exchange import Admission
from muster_protocol.frames import AdmissionPush, Admit, Admitted, CloseSession, EpochPush, Ok, SealedFor
from muster_protocol.sealing import SEALED_BYTES
from muster_protocol.signed import read, sign

Change = Callable[[Actor, Admit], Admit]
End = Callable[[Actor, Actor], Awaitable[None]]


def other_bytes(creator: Actor, request: Admit) -> Admit:
    """Return the same epoch with new admissions of the creator and new sealed keys."""
    bodies = [replace(read(each, Admission), sealed=os.urandom(SEALED_BYTES)) for each in request.admissions]
    return replace(
        request,
        admissions=tuple(sign(body, creator.device.key) for body in bodies),
        sealed=tuple(SealedFor(each.client, os.urandom(SEALED_BYTES)) for each in request.sealed),
    )


def the_same(creator: Actor, request: Admit) -> Admit:
    return request


async def committed(ann: Actor, *newcomers: Actor) -> Admit:
    """Admit devices that have not joined yet, and return the request that did it."""
    await invite_and_answer(ann, *newcomers)
    request = ann.admission()
    assert not (await ann.ask(request, Admitted)).rejected
    return request


@pytest.mark.parametrize("change", [the_same, other_bytes])
async def test_no_admission_reaches_a_device_after_its_untrust(desk: Desk, change: Change) -> None:
    ann, bob = await actor(desk), await actor(desk)
    await befriend(ann, bob)
    await ann.create()
    request = await committed(ann, bob)
    await bob.next_push(AdmissionPush)
    await bob.say(bob.device.untrust(ann.device))
    before = await stored(desk)
    for _ in range(3):
        assert not (await ann.ask(change(ann, request), Admitted)).rejected
    await outbox.run_once(desk.hub, min_age_ms=0)
    assert keys.inbox(bob.client) not in changed(before, await stored(desk))
    assert not bob.line.waiting(AdmissionPush)


async def untrust(creator: Actor, newcomer: Actor) -> None:
    await creator.say(creator.device.untrust(newcomer.device))


async def be_untrusted(creator: Actor, newcomer: Actor) -> None:
    await newcomer.say(newcomer.device.untrust(creator.device))


async def close(creator: Actor, newcomer: Actor) -> None:
    await creator.ask(CloseSession(id=0, session=creator.session), Ok)


@pytest.mark.parametrize("end", [untrust, be_untrusted, close])
async def test_no_admission_outlives_the_seat_of_a_device_that_was_away(desk: Desk, end: End) -> None:
    """Neither as a push, nor where the device asks for the session: once the end is acknowledged, it is gone."""
    ann, bob = await actor(desk), await actor(desk)
    await befriend(ann, bob)
    await ann.create()
    await invite_and_answer(ann, bob)
    request = ann.admission()
    assert isinstance(bob.line, DeskSeat)
    await desk.unseat(bob.line)
    assert not (await ann.ask(request, Admitted)).rejected
    bob.line = await desk.seat(bob.device, Role.CLI)
    await end(ann, bob)
    bob.line = await desk.seat(bob.device)
    await outbox.run_once(desk.hub, min_age_ms=0)
    shown = await bob.show(ann.session)
    assert (shown.open, shown.admission) == (False, None)
    assert not bob.line.waiting(AdmissionPush)


@pytest.mark.parametrize("change", [the_same, other_bytes])
async def test_no_epoch_reaches_a_member_after_its_untrust(desk: Desk, change: Change) -> None:
    ann, bob, cat = [await actor(desk) for _ in range(3)]
    await befriend(ann, bob, cat)
    await ann.create()
    await call_in(ann, bob)
    request = await committed(ann, cat)
    await bob.line.next_push(EpochPush)
    await bob.say(bob.device.untrust(ann.device))
    for _ in range(3):
        assert not (await ann.ask(change(ann, request), Admitted)).rejected
    assert not bob.line.waiting(EpochPush)


async def test_members_get_no_other_bytes_than_those_committed(desk: Desk) -> None:
    ann, bob, cat = [await actor(desk) for _ in range(3)]
    await befriend(ann, bob, cat)
    await ann.create()
    await call_in(ann, bob)
    request = await committed(ann, cat)
    await bob.line.next_push(EpochPush)
    await cat.next_push(AdmissionPush)
    before = await stored(desk)
    assert not (await ann.ask(other_bytes(ann, request), Admitted)).rejected
    assert not bob.line.waiting(EpochPush)
    assert not cat.line.waiting(AdmissionPush)
    assert keys.inbox(cat.client) not in changed(before, await stored(desk))
    # The control: the committed key reaches the member again, for a creator that did not receive the reply.
    assert not (await ann.ask(request, Admitted)).rejected
    assert (await bob.line.next_push(EpochPush)).sealed == request.sealed[0].sealed


async def test_an_earlier_epoch_reaches_no_member_that_has_a_later_one(desk: Desk) -> None:
    ann, bob, cat, dan = [await actor(desk) for _ in range(4)]
    await befriend(ann, bob, cat, dan)
    await ann.create()
    await call_in(ann, bob)
    earlier = await committed(ann, cat)
    ann.inviting.committed(now_ms())
    await committed(ann, dan)
    await cat.say(cat.device.untrust(ann.device))
    for _ in range(2):
        await bob.line.next_push(EpochPush)
    for change in (the_same, other_bytes):
        assert not (await ann.ask(change(ann, earlier), Admitted)).rejected
    assert not bob.line.waiting(EpochPush)
