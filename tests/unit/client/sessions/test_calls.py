"""The calls of a creator whose hub refuses, is away, or says what it should not."""

import pytest
from tests.unit.client.sessions.parts import DeviceParts, admit, call, host, join

from muster_client.errors import HubRefused, HubUnreachable, SessionRefused
from muster_client.events import Progress
from muster_protocol.errors import MusterError
from muster_protocol.frames import (
    CancelInvite,
    CardReply,
    CreateSession,
    GetCard,
    InviteResult,
    InviteResults,
    InviteUpdatePush,
    SendAnswer,
    SendInvites,
)
from muster_protocol.ids import ClientId, InviteId
from muster_protocol.reasons import Reason, Sayer

AWAY = HubUnreachable("no answer")


def result(session, target: DeviceParts):
    """Return how far the call of a device has come, the reason and who gave it."""
    shown = session.targets[target.device.client]
    return shown.state, shown.reason, shown.sayer


async def test_a_session_that_the_hub_refuses_is_none(ann: DeviceParts, bob: DeviceParts) -> None:
    ann.hub.answers(CreateSession, HubRefused(Reason.OVERLOADED, "full"))
    with pytest.raises(SessionRefused) as failed:
        await host(ann, bob)
    assert (failed.value.reason, failed.value.sayer, failed.value.detail) == (Reason.OVERLOADED, Sayer.HUB, "full")
    assert ann.membership.sessions() == ()


async def test_a_peer_whose_card_cannot_be_fetched_is_not_called(ann: DeviceParts, bob: DeviceParts) -> None:
    for error, expected in (
        (AWAY, (Progress.REFUSED, Reason.NO_ANSWER, Sayer.DEVICE)),
        (HubRefused(Reason.NOT_MUTUALLY_TRUSTED), (Progress.REFUSED, Reason.NOT_MUTUALLY_TRUSTED, Sayer.HUB)),
    ):
        session = await host(ann, bob)
        ann.hub.answers(GetCard, error)
        await session.invite([bob.device.client])
        assert result(session, bob) == expected
    assert ann.hub.count(SendInvites) == 0


async def test_a_grant_that_ends_while_the_card_is_fetched_ends_the_call(ann: DeviceParts, bob: DeviceParts) -> None:
    session = await host(ann, bob)

    def revoke_first(request: GetCard) -> CardReply:
        ann.device.peers.revoke(bob.device.client)
        return CardReply(re=0, card=bob.device.card())

    ann.hub.answers(GetCard, revoke_first)
    await session.invite([bob.device.client])
    assert result(session, bob) == (Progress.REFUSED, Reason.GRANT_REVOKED, Sayer.DEVICE)
    assert ann.hub.count(SendInvites) == 0


async def test_an_invite_that_was_not_sent_is_sent_again_and_is_the_same(ann: DeviceParts, bob: DeviceParts) -> None:
    session = await host(ann, bob)
    ann.hub.answers(SendInvites, AWAY)
    invite = await call(ann, session, bob)
    assert result(session, bob) == (Progress.CALLED, None, None)
    ann.hub.answers(SendInvites, InviteResults(re=0, results=(InviteResult(bob.device.client, None),)))
    await session._calls.send()
    assert ann.hub.newest(SendInvites).invites == (invite,)
    assert result(session, bob) == (Progress.DELIVERED, None, None)
    await session._calls.send()
    assert ann.hub.count(SendInvites) == 2, "the hub has it now"


async def test_a_hub_that_refuses_the_request_refuses_each_call_of_it(ann: DeviceParts, bob: DeviceParts) -> None:
    session = await host(ann, bob)
    ann.hub.answers(SendInvites, HubRefused(Reason.RATE_LIMITED))
    await call(ann, session, bob)
    assert result(session, bob) == (Progress.REFUSED, Reason.RATE_LIMITED, Sayer.HUB)
    await session._calls.send()
    assert ann.hub.count(SendInvites) == 1


async def test_a_result_for_a_device_that_was_not_called_is_ignored(ann: DeviceParts, bob: DeviceParts) -> None:
    session = await host(ann, bob)
    stranger = ClientId("z" * 32)
    results = (InviteResult(stranger, Reason.OFFLINE), InviteResult(bob.device.client, Reason.OFFLINE))
    ann.hub.answers(SendInvites, InviteResults(re=0, results=results))
    await call(ann, session, bob)
    assert list(session.targets) == [bob.device.client]
    assert result(session, bob) == (Progress.REFUSED, Reason.OFFLINE, Sayer.HUB)


async def test_only_the_end_of_the_newest_invite_ends_the_call(ann: DeviceParts, bob: DeviceParts) -> None:
    session = await host(ann, bob)
    await call(ann, session, bob)

    def end(invite: InviteId) -> InviteUpdatePush:
        return InviteUpdatePush(
            push="p", session=session.id, client=bob.device.client, invite=invite, reason=Reason.EXPIRED
        )

    session.on_invite_update(end(InviteId(bytes(16))))
    assert result(session, bob)[0] is Progress.CALLED
    await ann.pushes.handle(ann.connection, end(session._calls._invites[bob.device.client]))
    assert result(session, bob) == (Progress.REFUSED, Reason.EXPIRED, Sayer.HUB)


@pytest.mark.parametrize("error", [AWAY, HubRefused(Reason.MISMATCH)])
async def test_a_withdrawn_call_is_over_here_even_if_the_hub_does_not_know(
    ann: DeviceParts, bob: DeviceParts, error: MusterError
) -> None:
    session = await host(ann, bob)
    invite = await call(ann, session, bob)
    ann.hub.answers(CancelInvite, error)
    await session.cancel()
    assert result(session, bob) == (Progress.REFUSED, Reason.CANCELLED, Sayer.DEVICE)
    await bob.answering.on_invite(invite)
    before = ann.hub.asked.copy()
    ann.membership.on_answer(bob.hub.newest(SendAnswer).answer)
    session._take_answers()
    await session._admit()
    assert ann.hub.asked == before, "the answer to it admits no device"


async def test_a_call_that_was_answered_is_not_withdrawn(ann: DeviceParts, bob: DeviceParts) -> None:
    session = await host(ann, bob)
    await join(ann, session, bob)
    await session.cancel()
    assert result(session, bob)[0] is Progress.JOINED
    assert ann.hub.count(CancelInvite) == 0


async def test_a_device_that_cannot_open_its_admission_is_called_once_more_and_not_twice(
    ann: DeviceParts, bob: DeviceParts
) -> None:
    session = await host(ann, bob)
    await call(ann, session, bob)
    for _ in range(2):
        await bob.answering.on_invite(ann.hub.newest(SendInvites).invites[0])
        request = await admit(ann, session, bob.hub.newest(SendAnswer).answer)
        bob.restart()
        assert await bob.answering.on_admission(request.admissions[0]) is None
        ann.membership.on_answer(bob.hub.newest(SendAnswer).answer)
        session._take_answers()
        session._calls.show()
        await session._calls.repeat()
        assert ann.hub.count(SendInvites) == 2, "called, and called again once"
    assert result(session, bob) == (Progress.REFUSED, Reason.CANNOT_OPEN, Sayer.PEER)
