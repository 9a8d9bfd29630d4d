"""Admissions whose push was lost: a device reads them from their sessions."""

import pytest
from tests.unit.client.sessions.parts import DeviceParts, admit, call, host
from tests.unit.client.sessions.test_membership import attended, hosted, reply_of, row, summary, update

from muster_client.sessions.hosted import HostedSession
from muster_client.sessions.joined import AttendedSession
from muster_protocol.frames import (
    GetSession,
    ListSessions,
    MemberState,
    ResumeSession,
    SendAnswer,
    SendJoined,
    SessionsReply,
)
from muster_protocol.signed import Signed

__all__ = ["attended", "hosted"]


async def admitted(ann: DeviceParts, session: HostedSession, bob: DeviceParts) -> Signed:
    """Return the admission of a device, whose push is lost."""
    await bob.answering.on_invite(await call(ann, session, bob))
    return (await admit(ann, session, bob.hub.newest(SendAnswer).answer)).admissions[0]


@pytest.mark.parametrize("connects", [True, False])
async def test_a_device_reads_an_admission_whose_push_was_lost(
    ann: DeviceParts, bob: DeviceParts, connects: bool
) -> None:
    session = await host(ann, bob)
    reply = reply_of(session, row(bob, MemberState.SEATED), admission=await admitted(ann, session, bob))
    bob.hub.answers(GetSession, reply)
    bob.hub.answers(ListSessions, SessionsReply(re=0, sessions=(summary(session),), more=False))
    if connects:
        await bob.membership.on_welcome(bob.connection)
    else:
        await bob.pushes.handle(bob.connection, update(session.id, "changed"))
    assert bob.entered == [bob.attended(session)]
    assert bob.hub.count(SendJoined) == 1
    assert bob.hub.count(ResumeSession) == 0


async def test_a_member_that_was_called_again_reads_its_admission(
    ann: DeviceParts, bob: DeviceParts, hosted: HostedSession, attended: AttendedSession
) -> None:
    admission = await admitted(ann, hosted, bob)
    replies = [reply_of(hosted, row(bob)), reply_of(hosted, row(bob, MemberState.SEATED), admission=admission)]
    bob.hub.answers(GetSession, lambda _: replies.pop())
    bob.hub.answers(ListSessions, SessionsReply(re=0, sessions=(summary(hosted),), more=False))
    await bob.membership.on_welcome(bob.connection)
    assert attended.epoch == hosted.epoch
    assert attended.export_key("files") == hosted.export_key("files")
    assert bob.hub.count(ResumeSession) == 0


@pytest.mark.parametrize("closed", [True, False])
async def test_an_admission_of_a_closed_or_another_session_is_passed_over(
    ann: DeviceParts, bob: DeviceParts, closed: bool
) -> None:
    session, other = await host(ann, bob), await host(ann, bob)
    admission = await admitted(ann, session, bob)
    shown = reply_of(session if closed else other, row(bob, MemberState.SEATED), admission=admission, open=not closed)
    bob.hub.answers(GetSession, shown)
    await bob.pushes.handle(bob.connection, update(session.id, "changed"))
    assert bob.entered == []


async def test_a_session_to_which_no_admission_may_come_is_not_read(ann: DeviceParts, bob: DeviceParts) -> None:
    """The hub says ``changed`` of all that a device was in, also of what it left long ago."""
    await bob.pushes.handle(bob.connection, update((await host(ann, bob)).id, "changed"))
    assert bob.hub.count(GetSession) == 0
