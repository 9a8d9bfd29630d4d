"""A hub that lies about who is in a session: each member is shown as its own newest statement says."""

from dataclasses import dataclass

import pytest
from tests.unit.client.conftest import ManualClock, clock, make_device
from tests.unit.client.sessions.conftest import ann, bob, cat
from tests.unit.client.sessions.parts import DeviceParts, host, join
from tests.unit.client.sessions.test_membership import push_of, reply_of, row, update

from muster_client.cli.output.nicknames import Nicknames
from muster_client.cli.output.session_views import from_agent
from muster_client.events import MemberView
from muster_client.sessions.hosted import HostedSession
from muster_client.sessions.joined import AttendedSession
from muster_client.sessions.session import Session
from muster_protocol.frames import Admit, GetSession, JoinedPush, LeavePush, MemberState, SendJoined, SendLeave
from muster_protocol.reasons import Reason

__all__ = ["ann", "bob", "cat", "clock", "make_device"]

JOINED, OUT = MemberState.JOINED, MemberState.OUT


@dataclass(slots=True)
class Room:
    """ANN's session with BOB and CAT, who know each other to be in it: as ANN sees it, and as CAT does."""

    ann: DeviceParts
    bob: DeviceParts
    cat: DeviceParts
    clock: ManualClock
    at_ann: HostedSession
    at_cat: AttendedSession

    def of_bob(self) -> tuple[MemberView, MemberView]:
        """Return BOB as ANN sees him, and as CAT does."""
        return self._of_bob(self.at_ann), self._of_bob(self.at_cat)

    def _of_bob(self, session: Session) -> MemberView:
        (found,) = (one for one in session.members if one.client == self.bob.device.client)
        return found

    def states(self) -> tuple[MemberState, ...]:
        return tuple(view.state for view in self.of_bob())

    async def leave(self, *hearing: DeviceParts) -> LeavePush:
        """Let BOB leave; return what he said."""
        self.clock.go_on(1000)
        await self.bob.attended(self.at_ann).leave()
        left = LeavePush(leave=self.bob.hub.newest(SendLeave).leave)
        for parts in hearing:
            await parts.pushes.handle(parts.connection, left)
        return left

    async def come_back(self) -> None:
        """Admit BOB in the next epoch, which CAT follows."""
        self.clock.go_on(1000)
        await join(self.ann, self.at_ann, self.bob)
        await self.follow()

    async def follow(self) -> None:
        await self.cat.pushes.handle(self.cat.connection, push_of(self.ann.hub.newest(Admit), self.cat))
        await self.ann.membership.on_joined(self.cat.hub.newest(SendJoined).joined)

    def joined(self) -> JoinedPush:
        return JoinedPush(joined=self.bob.hub.newest(SendJoined).joined)

    async def at_cats(self, push: JoinedPush | LeavePush) -> None:
        await self.cat.pushes.handle(self.cat.connection, push)


@pytest.fixture
async def room(ann: DeviceParts, bob: DeviceParts, cat: DeviceParts, clock: ManualClock) -> Room:
    session = await host(ann, bob, cat)
    await join(ann, session, cat)
    await join(ann, session, bob)
    made = Room(ann, bob, cat, clock, session, cat.attended(session))
    await made.follow()
    await made.at_cats(made.joined())
    return made


async def test_no_word_of_the_hub_shows_a_member_as_out(room: Room) -> None:
    for parts in (room.ann, room.cat):
        out = update(room.at_ann.id, "out", room.bob.device.client, Reason.NOT_TRUSTED)
        await parts.pushes.handle(parts.connection, out)
    for view in room.of_bob():
        assert (view.state, view.denied, view.reason) == (JOINED, True, Reason.NOT_TRUSTED)
    for state in (JOINED, OUT):
        for parts in (room.ann, room.cat):
            members = (row(room.ann), row(room.cat), row(room.bob, state))
            parts.hub.answers(GetSession, reply_of(room.at_ann, *members))
            await parts.pushes.handle(parts.connection, update(room.at_ann.id, "changed"))
        assert {(view.state, view.denied) for view in room.of_bob()} == {(JOINED, state is OUT)}


async def test_an_old_leave_does_not_show_a_member_as_out_that_came_back(room: Room) -> None:
    left = await room.leave(room.ann, room.cat)
    await room.come_back()
    await room.at_cats(left)
    assert room.states() == (JOINED, OUT)
    await room.at_cats(room.joined())
    for parts in (room.ann, room.cat):
        await parts.pushes.handle(parts.connection, left)
    assert room.states() == (JOINED, JOINED)


async def test_an_old_leave_is_not_taken_by_one_who_saw_only_the_return(room: Room) -> None:
    left = await room.leave(room.ann)
    await room.come_back()
    await room.at_cats(room.joined())
    await room.at_cats(left)
    assert room.states() == (JOINED, JOINED)


async def test_an_old_joined_makes_no_old_leave_count_again(room: Room) -> None:
    joined = room.joined()
    left = await room.leave(room.ann)
    await room.come_back()
    await room.at_cats(room.joined())
    await room.at_cats(joined)
    await room.at_cats(left)
    assert room.states() == (JOINED, JOINED)


async def test_an_old_joined_does_not_show_a_member_as_joined_that_came_back(room: Room) -> None:
    joined = room.joined()
    await room.leave(room.ann, room.cat)
    await room.come_back()
    await room.at_cats(joined)
    assert room.states() == (JOINED, OUT), "it did not say yet that it came back"


async def test_a_member_that_came_back_is_shown_as_joined_again(room: Room) -> None:
    await room.leave(room.ann, room.cat)
    assert room.states() == (OUT, OUT)
    await room.come_back()
    await room.at_cats(room.joined())
    assert room.states() == (JOINED, JOINED)


async def test_no_reason_that_a_member_alone_may_give_is_shown_for_it(room: Room) -> None:
    out = update(room.at_ann.id, "out", room.bob.device.client, Reason.DECLINED)
    await room.cat.pushes.handle(room.cat.connection, out)
    device = room.cat.device
    shown = from_agent(room.at_cat.view(), Nicknames(device), device.client, None)
    (bob,) = (one for one in shown.members if one.client == room.bob.device.client)
    assert (bob.state, bob.said_by, bob.denied, bob.reason) == ("joined", "peer", True, None)
