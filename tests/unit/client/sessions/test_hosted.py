"""A session as its creator runs it: admissions that the hub refuses or loses, and what it does by itself."""

import asyncio

import pytest
from tests.unit.client.conftest import ManualClock
from tests.unit.client.sessions.parts import DeviceParts, admit, call, host, join

from muster_client.errors import HubRefused, HubUnreachable
from muster_client.events import MembersChanged, Progress, SessionEnded
from muster_client.sessions.hosted import HostedSession
from muster_protocol.frames import (
    Admit,
    Admitted,
    CloseSession,
    InviteResult,
    MemberState,
    Ok,
    SendAnswer,
    SendInvites,
    SessionUpdatePush,
)
from muster_protocol.ids import ClientId
from muster_protocol.reasons import Reason, Sayer

WAIT_S = 30
AWAY = HubUnreachable("no answer")


async def answered(ann: DeviceParts, bob: DeviceParts) -> HostedSession:
    """Return a session whose one target accepts; the creator has its answer and has not looked at it."""
    session = await host(ann, bob)
    await bob.answering.on_invite(await call(ann, session, bob))
    ann.membership.on_answer(bob.hub.newest(SendAnswer).answer)
    return session


def result(session: HostedSession, target: DeviceParts) -> tuple[Progress, Reason | None, Sayer | None]:
    shown = session.targets[target.device.client]
    return shown.state, shown.reason, shown.sayer


async def admitting(session: HostedSession) -> None:
    session._take_answers()
    await session._admit()


async def test_an_epoch_whose_reply_was_lost_is_sent_again_as_it_was(ann: DeviceParts, bob: DeviceParts) -> None:
    session = await answered(ann, bob)
    ann.hub.answers(Admit, AWAY)
    await admitting(session)
    first = ann.hub.newest(Admit)
    assert session.epoch == 1
    ann.hub.answers(Admit, Admitted(re=0, rejected=()))
    await admitting(session)
    assert ann.hub.newest(Admit) == first
    assert (session.epoch, ann.hub.count(Admit)) == (2, 2)


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (None, Reason.RATE_LIMITED),
        (Reason.GRANT_USED, Reason.GRANT_USED),
    ],
    ids=["the whole request", "the newcomer"],
)
async def test_an_admission_that_the_hub_refuses_ends_the_call_and_is_not_tried_again(
    ann: DeviceParts, bob: DeviceParts, named: Reason | None, expected: Reason
) -> None:
    session = await answered(ann, bob)
    rejected = InviteResult(bob.device.client, named)
    ann.hub.answers(Admit, HubRefused(Reason.RATE_LIMITED) if named is None else Admitted(re=0, rejected=(rejected,)))
    await admitting(session)
    await admitting(session)
    assert result(session, bob) == (Progress.REFUSED, expected, Sayer.HUB)
    assert (session.epoch, ann.hub.count(Admit)) == (1, 1)


async def test_a_hub_that_rejects_a_device_of_no_concern_ends_the_call(ann: DeviceParts, bob: DeviceParts) -> None:
    """Otherwise the same epoch would be refused for ever."""
    session = await answered(ann, bob)
    other = InviteResult(ClientId("z" * 32), Reason.OFFLINE)
    ann.hub.answers(Admit, Admitted(re=0, rejected=(other,)))
    await admitting(session)
    assert result(session, bob) == (Progress.REFUSED, Reason.OFFLINE, Sayer.HUB)


async def test_an_answer_that_does_not_verify_changes_nothing(ann: DeviceParts, bob: DeviceParts) -> None:
    session = await answered(ann, bob)
    answer = session._answers.pop()
    session.on_answer(type(answer)(answer.body, answer.signer, answer.signature[::-1]))  # type: ignore[arg-type]
    await admitting(session)
    assert ann.hub.count(Admit) == 0
    assert result(session, bob)[0] is Progress.CALLED


async def test_the_hubs_removal_ends_a_call_that_was_admitted_and_none_that_is_newer(
    ann: DeviceParts, bob: DeviceParts
) -> None:
    session = await host(ann, bob)
    client = bob.device.client

    def out(reason: Reason) -> SessionUpdatePush:
        return SessionUpdatePush(session=session.id, client=client, state=MemberState.OUT, reason=reason)

    await call(ann, session, bob)
    session.on_update(out(Reason.NOT_TRUSTED))
    assert result(session, bob)[0] is Progress.CALLED, "that was an earlier membership"
    await bob.answering.on_invite(ann.hub.newest(SendInvites).invites[0])
    await admit(ann, session, bob.hub.newest(SendAnswer).answer)
    session.on_update(out(Reason.CANNOT_OPEN))
    assert result(session, bob)[0] is Progress.ACCEPTED, "an answer that says so follows"
    session.on_update(out(Reason.NO_ANSWER))
    assert result(session, bob) == (Progress.REFUSED, Reason.NO_ANSWER, Sayer.HUB)


async def test_a_member_whose_process_is_new_is_called_again(ann: DeviceParts, bob: DeviceParts) -> None:
    session = await host(ann, bob)
    await join(ann, session, bob)
    resume = SessionUpdatePush(session=session.id, client=bob.device.client, state="resume", reason=None)
    session.on_update(resume)
    session.on_update(resume)
    await session._calls.repeat()
    assert ann.hub.count(SendInvites) == 2
    assert result(session, bob)[0] is Progress.CALLED


async def test_run_admits_what_answered_and_ends_at_the_sessions_end(
    ann: DeviceParts, bob: DeviceParts, clock: ManualClock
) -> None:
    session = await answered(ann, bob)
    updates = session.updates()
    async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as group:
        group.create_task(session.run())
        async for update in updates:
            if isinstance(update, MembersChanged):
                break
        assert result(session, bob)[0] is Progress.ACCEPTED
        clock.go_on(24 * 3600 * 1000)
        session._wake.set()
    assert [(event.reason, event.sayer) for event in ann.events(SessionEnded)] == [
        (Reason.SESSION_CLOSED, Sayer.DEVICE)
    ]


async def test_a_creator_that_cannot_close_its_session_still_holds_it(ann: DeviceParts, bob: DeviceParts) -> None:
    session = await host(ann, bob)
    ann.hub.answers(CloseSession, AWAY)
    with pytest.raises(HubUnreachable):
        await session.leave()
    assert ann.membership.sessions() == (session,)
    ann.hub.answers(CloseSession, Ok(re=0))
    await session.leave()
    assert ann.membership.sessions() == ()
