"""A hub that says ``resume`` for devices that did not: the creator calls few times, and loses no member by it."""

import pytest
from tests.unit.client.conftest import ManualClock, clock, make_device
from tests.unit.client.sessions.conftest import ann, bob, cat
from tests.unit.client.sessions.parts import DeviceParts, admit, call, host, join
from tests.unit.client.sessions.test_membership import push_of, reply_of, row

from muster_client.events import Invited
from muster_client.sessions.hosted import HostedSession
from muster_protocol.epochs import Epoch
from muster_protocol.exchange import Answer
from muster_protocol.frames import (
    Admit,
    LeavePush,
    MemberState,
    Purpose,
    SendAnswer,
    SendInvites,
    SendJoined,
    SendLeave,
    SessionUpdatePush,
)
from muster_protocol.reasons import Reason
from muster_protocol.recalls import FIRST_RECALL_MS, MAX_RECALLS
from muster_protocol.signed import read

__all__ = ["ann", "bob", "cat", "clock", "make_device"]

DAY_MS = 24 * 3600 * 1000


async def resume(ann: DeviceParts, session: HostedSession, target: DeviceParts) -> int:
    """Say ``resume`` in every way that the hub has; return how many invites the creator has sent until now."""
    client = target.device.client
    push = SessionUpdatePush(session=session.id, client=client, state="resume", reason=None)
    await ann.pushes.handle(ann.connection, push)
    session.on_reply(reply_of(session, row(target, MemberState.SEATED)))
    await session._calls.repeat()
    return ann.hub.count(SendInvites)


async def take_the_call(ann: DeviceParts, session: HostedSession, target: DeviceParts) -> None:
    """Let the called device say yes to the newest invite, and join."""
    (invite,) = ann.hub.newest(SendInvites).invites
    await target.answering.on_invite(invite)
    request = await admit(ann, session, target.hub.newest(SendAnswer).answer)
    await target.membership.on_admission(request.admissions[0])
    await ann.membership.on_joined(target.hub.newest(SendJoined).joined)


async def test_no_device_is_called_again_whose_call_was_withdrawn(ann: DeviceParts, bob: DeviceParts) -> None:
    session = await host(ann, bob)
    await call(ann, session, bob)
    await session.cancel()
    assert await resume(ann, session, bob) == 1


async def test_no_member_is_called_again_whose_new_call_was_withdrawn(
    ann: DeviceParts, bob: DeviceParts, clock: ManualClock
) -> None:
    session = await host(ann, bob)
    await join(ann, session, bob)
    await call(ann, session, bob)
    await session.cancel()
    clock.go_on(DAY_MS // 2)
    assert await resume(ann, session, bob) == 2


async def test_no_person_is_asked_again_who_declined(ann: DeviceParts, bob: DeviceParts) -> None:
    session = await host(ann, bob)
    await bob.answering.on_invite(await call(ann, session, bob, Purpose.ASK))
    await bob.answering.decline(bob.answering.inbox()[0].id)
    ann.membership.on_answer(bob.hub.newest(SendAnswer).answer)
    session._take_answers()
    assert await resume(ann, session, bob) == 1
    assert len(bob.events(Invited)) == 1


async def test_a_member_that_left_is_not_called_when_its_time_comes(
    ann: DeviceParts, bob: DeviceParts, clock: ManualClock
) -> None:
    session = await host(ann, bob)
    await join(ann, session, bob)
    await resume(ann, session, bob)
    await take_the_call(ann, session, bob)
    assert await resume(ann, session, bob) == 2, "it waits"
    await bob.attended(session).leave()
    await ann.pushes.handle(ann.connection, LeavePush(leave=bob.hub.newest(SendLeave).leave))
    clock.go_on(FIRST_RECALL_MS)
    await session._calls.repeat()
    assert ann.hub.count(SendInvites) == 2


@pytest.mark.parametrize("joins", [True, False])
async def test_a_hub_has_no_device_called_without_end(
    ann: DeviceParts, bob: DeviceParts, clock: ManualClock, joins: bool
) -> None:
    session = await host(ann, bob)
    await join(ann, session, bob)
    for made in range(1, MAX_RECALLS + 3):
        calls = await resume(ann, session, bob)
        assert calls == 1 + min(made, MAX_RECALLS)
        if joins and made <= MAX_RECALLS:
            await take_the_call(ann, session, bob)
            assert await resume(ann, session, bob) == calls, "not so soon"
        clock.go_on(DAY_MS // 48)
        session._machine.on_time(clock())
    await session.invite([bob.device.client])
    await take_the_call(ann, session, bob)
    assert await resume(ann, session, bob) == 3 + MAX_RECALLS, "its person called: it counts from the start"


@pytest.mark.parametrize("why", [Reason.GRANT_REVOKED, Reason.DECLINED])
async def test_a_refusal_that_the_hub_caused_takes_no_member_out(
    ann: DeviceParts, bob: DeviceParts, cat: DeviceParts, why: Reason
) -> None:
    session = await host(ann, bob, cat)
    held = await join(ann, session, bob)
    if why is Reason.GRANT_REVOKED:
        bob.device.peers.revoke(ann.device.client)
    else:
        bob.hub.standing = Reason.CLONE_SUSPECTED
    assert await resume(ann, session, bob) == 2
    (invite,) = ann.hub.newest(SendInvites).invites
    await bob.answering.on_invite(invite)
    refusal = bob.hub.newest(SendAnswer).answer
    assert read(refusal, Answer).reason is why
    ann.membership.on_answer(refusal)
    session._take_answers()
    await join(ann, session, cat)
    assert bob.device.client in read(ann.hub.newest(Admit).epoch, Epoch).clients
    assert session._machine.has_joined(bob.device.client)
    await bob.pushes.handle(bob.connection, push_of(ann.hub.newest(Admit), bob))
    assert held.export_key("test") == session.export_key("test")
