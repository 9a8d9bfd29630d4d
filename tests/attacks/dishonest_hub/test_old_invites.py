"""A hub that shows a device an invite again, long after it was declined, withdrawn or forgotten."""

import os

import pytest
from msgspec.structs import replace
from tests.unit.client.conftest import ManualClock, clock, make_device
from tests.unit.client.sessions.conftest import ann, bob, cat
from tests.unit.client.sessions.parts import DeviceParts, call, host

from muster_client.device import invites
from muster_client.device.invites import ACCEPTED, KEPT_AFTER_MS
from muster_protocol.exchange import CLOCK_SKEW_MS, DEFAULT_INVITE_MS, Answer, Invite
from muster_protocol.frames import InviteUpdatePush, Purpose, SendAnswer
from muster_protocol.ids import InviteId, TimeMs
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, read, sign

__all__ = ["ann", "bob", "cat", "clock", "make_device"]

LATER_MS = (KEPT_AFTER_MS + DEFAULT_INVITE_MS + 1, CLOCK_SKEW_MS, 3 * CLOCK_SKEW_MS)
"""When the hub shows it again: each is this much after the time before."""


async def answered(parts: DeviceParts, invite: Signed) -> Reason | None:
    before = parts.hub.count(SendAnswer)
    await parts.answering.on_invite(invite)
    assert parts.hub.count(SendAnswer) == before + 1
    return read(parts.hub.newest(SendAnswer).answer, Answer).reason


async def test_no_person_is_asked_again_what_was_declined(
    ann: DeviceParts, bob: DeviceParts, cat: DeviceParts, clock: ManualClock
) -> None:
    session = await host(ann, bob)
    invite = await call(ann, session, bob, Purpose.ASK)
    await bob.answering.on_invite(invite)
    [entry] = bob.answering.inbox()
    await bob.answering.decline(entry.id)
    said = []
    for ms in LATER_MS:
        clock.go_on(ms)
        bob.restart()
        # Something new makes the device forget what it need not remember.
        bob.device.peers.grant(cat.device.client)
        assert await answered(bob, await call(cat, await host(cat, bob), bob)) is None
        said.append(await answered(bob, invite))
        assert bob.answering.inbox() == ()
    assert said == [Reason.DECLINED, Reason.EXPIRED, Reason.EXPIRED]


@pytest.mark.parametrize("purpose", list(Purpose))
async def test_an_invite_that_was_not_joined_in_time_is_over(
    ann: DeviceParts, bob: DeviceParts, clock: ManualClock, purpose: Purpose
) -> None:
    invite = await call(ann, await host(ann, bob), bob, purpose)
    await bob.answering.on_invite(invite)
    clock.go_on(DEFAULT_INVITE_MS + KEPT_AFTER_MS)
    assert await answered(bob, invite) is Reason.EXPIRED
    assert bob.answering.inbox() == ()


@pytest.mark.parametrize("purpose", list(Purpose))
@pytest.mark.parametrize("reason", [Reason.CANCELLED, Reason.DECLINED, Reason.KEY_MISMATCH, Reason.CANNOT_OPEN])
async def test_no_reason_of_the_hub_is_signed_for_an_invite_that_it_ended(
    ann: DeviceParts, bob: DeviceParts, purpose: Purpose, reason: Reason
) -> None:
    invite = await call(ann, await host(ann, bob), bob, purpose)
    body = read(invite, Invite)
    await bob.answering.on_invite(invite)
    said = bob.hub.count(SendAnswer)
    ended = InviteUpdatePush(session=body.session, client=bob.device.client, invite=body.invite, reason=reason)
    await bob.pushes.handle(bob.connection, ended)
    await bob.answering.on_invite(invite)
    bob.restart()
    await bob.answering.on_invite(invite)
    assert bob.hub.count(SendAnswer) == said
    assert bob.answering.inbox() == ()


@pytest.mark.parametrize("ms", [0, 1])
async def test_no_grant_answers_an_invite_that_is_a_day_older(ann: DeviceParts, bob: DeviceParts, ms: int) -> None:
    began = bob.device.peers.newest_grant(ann.device.client).not_before
    body = read(await call(ann, await host(ann, bob), bob), Invite)
    at = TimeMs(began - CLOCK_SKEW_MS - ms)
    old = replace(body, at=at, expires_at=TimeMs(at + DEFAULT_INVITE_MS))
    assert await answered(bob, sign(old, ann.device.key)) is (Reason.GRANT_EXPIRED if ms else None)


async def test_the_invites_of_one_peer_are_bounded_and_drive_out_none(
    ann: DeviceParts, bob: DeviceParts, cat: DeviceParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invites, "MAX_INVITES", 4)
    first = await call(ann, await host(ann, bob), bob)
    assert await answered(bob, first) is None
    others = [sign(replace(read(first, Invite), invite=InviteId(os.urandom(16))), ann.device.key) for _ in range(3)]
    assert [await answered(bob, one) for one in others] == [None, Reason.DECLINED, Reason.DECLINED]
    kept = [bob.device.invites.get(read(one, Invite).invite) is not None for one in (first, *others)]
    assert kept == [True, True, False, False]
    bob.device.peers.grant(ann.device.client, once=True)
    bob.restart()
    assert await answered(bob, others[1]) is Reason.DECLINED
    assert bob.device.peers.newest_grant(ann.device.client).grant not in bob.device.invites.uses()
    assert await answered(bob, await call(cat, await host(cat, bob), bob)) is None
    remembered = bob.device.invites.get(read(first, Invite).invite)
    assert remembered is not None
    assert remembered.outcome == ACCEPTED
