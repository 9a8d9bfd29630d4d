"""A hub whose clock is days behind: what a member takes back, or leaves, is newer than its answer all the same."""

import pytest
from tests.unit.client.conftest import ManualClock, clock, make_device
from tests.unit.client.sessions.conftest import ann, bob
from tests.unit.client.sessions.parts import DeviceParts, host, join

from muster_client.sessions.hosted import HostedSession
from muster_protocol.frames import LeavePush, MemberState, SendAnswer, SendLeave
from muster_protocol.ids import TimeMs
from muster_protocol.labels import Kind

__all__ = ["ann", "bob", "clock", "make_device"]

BEHIND_MS = 10 * 24 * 3600 * 1000


@pytest.fixture
async def at_ann(ann: DeviceParts, bob: DeviceParts, clock: ManualClock) -> HostedSession:
    """Let BOB join ANN's session, and meet a hub that tells him one late time again and again."""
    late = TimeMs(clock.now - BEHIND_MS)
    bob.device.note_hub_time(late)
    bob.device.date()
    session = await host(ann, bob)
    await join(ann, session, bob)
    bob.device.note_hub_time(late)
    return session


def state_of(session: HostedSession, member: DeviceParts) -> MemberState:
    (found,) = (one.state for one in session.members if one.client == member.device.client)
    return found


async def test_no_untrust_is_older_than_the_answer(ann: DeviceParts, bob: DeviceParts, at_ann: HostedSession) -> None:
    untrust = bob.device.peers.untrust(ann.device.client)
    at_ann.on_departure(Kind.UNTRUST, untrust, bob.device.client)
    assert state_of(at_ann, bob) is MemberState.OUT


async def test_no_leave_is_older_than_the_answer_nor_newer_than_the_next_one(
    ann: DeviceParts, bob: DeviceParts, at_ann: HostedSession
) -> None:
    await bob.attended(at_ann).leave()
    left = bob.hub.newest(SendLeave).leave
    await ann.membership.on_leave(left)
    assert state_of(at_ann, bob) is MemberState.OUT
    before = bob.hub.newest(SendAnswer)
    await join(ann, at_ann, bob)
    assert bob.hub.newest(SendAnswer) != before
    assert state_of(at_ann, bob) is MemberState.JOINED
    await ann.pushes.handle(ann.connection, LeavePush(leave=left))
    assert state_of(at_ann, bob) is MemberState.JOINED
