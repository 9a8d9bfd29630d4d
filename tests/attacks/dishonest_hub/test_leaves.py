"""A hub that does not take the leave of a member: it stays due, and the person knows."""

import pytest
from msgspec.structs import replace
from tests.unit.client.conftest import START, clock, make_device
from tests.unit.client.sessions.conftest import ann, bob, cat
from tests.unit.client.sessions.parts import DeviceParts
from tests.unit.client.sessions.test_membership import AWAY, attended, endings, hosted, next_epoch, push_of, summary

from muster_client.errors import HubRefused, HubUnreachable
from muster_client.sessions.hosted import HostedSession
from muster_client.sessions.joined import AttendedSession
from muster_client.sessions.leaves import MAX_LEAVES
from muster_protocol.epochs import Epoch
from muster_protocol.errors import MusterError
from muster_protocol.frames import ListSessions, Ok, ResumeSession, SendLeave, SessionsReply
from muster_protocol.ids import SessionId, TimeMs
from muster_protocol.reasons import Reason, Sayer
from muster_protocol.signed import read, sign

__all__ = ["ann", "attended", "bob", "cat", "clock", "hosted", "make_device"]

NOT_TAKEN: tuple[MusterError, ...] = (
    AWAY,
    *map(HubRefused, (Reason.INTERNAL, Reason.STORE_FULL, Reason.OVERLOADED, Reason.RATE_LIMITED)),
)


@pytest.mark.parametrize("error", NOT_TAKEN, ids=str)
async def test_a_leave_that_the_hub_did_not_take_is_told_and_said_again(
    bob: DeviceParts, hosted: HostedSession, attended: AttendedSession, error: MusterError
) -> None:
    bob.hub.answers(SendLeave, error)
    with pytest.raises(type(error)):
        await attended.leave()
    said = bob.hub.newest(SendLeave)
    bob.hub.answers(SendLeave, Ok(re=0))
    bob.hub.answers(ListSessions, SessionsReply(re=0, sessions=(), more=False))
    await bob.membership.on_welcome(bob.connection)
    assert (bob.hub.newest(SendLeave), bob.hub.count(SendLeave)) == (said, 2)
    assert endings(bob) == [(None, Sayer.DEVICE)]
    await bob.membership.say_leaves()
    assert bob.hub.count(SendLeave) == 2


@pytest.mark.parametrize("error", NOT_TAKEN, ids=str)
async def test_a_session_that_was_left_over_a_fork_is_not_resumed_where_the_hub_did_not_take_the_leave(
    ann: DeviceParts, bob: DeviceParts, cat: DeviceParts, hosted: HostedSession, error: MusterError
) -> None:
    push = push_of(await next_epoch(ann, hosted, cat), bob)
    await bob.pushes.handle(bob.connection, push)
    forked = sign(replace(read(push.epoch, Epoch), at=TimeMs(START + 9)), ann.device.key)
    bob.hub.answers(SendLeave, error)
    await bob.pushes.handle(bob.connection, replace(push, epoch=forked))
    assert endings(bob) == [(Reason.EPOCH_FORKED, Sayer.DEVICE)]
    bob.hub.answers(ListSessions, SessionsReply(re=0, sessions=(summary(hosted),), more=False))
    await bob.membership.on_welcome(bob.connection)
    bob.hub.answers(SendLeave, Ok(re=0))
    await bob.membership.say_leaves()
    assert (bob.hub.count(SendLeave), bob.hub.count(ResumeSession)) == (3, 0)


async def test_leaves_that_wait_for_the_hub_are_bounded(bob: DeviceParts, attended: AttendedSession) -> None:
    leave = attended._machine.leave(START)
    bob.hub.answers(SendLeave, AWAY)
    for number in range(MAX_LEAVES + 1):
        with pytest.raises(HubUnreachable):
            await bob.context.leaves.say(SessionId(str(number)), leave)
    assert list(bob.context.leaves) == [SessionId(str(number)) for number in range(1, MAX_LEAVES + 1)]
