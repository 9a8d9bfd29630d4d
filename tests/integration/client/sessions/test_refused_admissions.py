"""A device that finds, when its admission comes, that it may not join any more: it says why itself."""

import asyncio
from contextlib import AsyncExitStack

from tests.integration.client.conftest import befriend, settled, until

from muster_client import Agent, Device, SessionRequest
from muster_client.device.clock import now_ms
from muster_client.events import Event, InviteAnswered, Progress, Stream
from muster_protocol.frames import MemberState
from muster_protocol.ids import TimeMs
from muster_protocol.reasons import Reason, Sayer


async def test_a_device_that_may_not_join_any_more_at_its_admission_says_so_itself(make_device, open_agent) -> None:
    """Its own grant runs out by its own clock between its answer and the admission; the hub does not know that."""
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas)
    nas.peers.grant(laptop.client, lasts_ms=10 * 60 * 1000)
    ahead_ms = 0

    async def run_out(answers: Stream[Event]) -> None:
        nonlocal ahead_ms
        await until(answers, InviteAnswered, reason=None)
        ahead_ms = 20 * 60 * 1000

    async with AsyncExitStack() as stack:
        called = stack.enter_context(Device.open(nas.path, clock=lambda: TimeMs(now_ms() + ahead_ms)))
        answers = (await stack.enter_async_context(Agent.open(called, control=False))).events()
        caller = await open_agent(laptop)
        async with asyncio.TaskGroup() as group:
            group.create_task(run_out(answers))
            session = await caller.start_session(SessionRequest((nas.client,)))
            target = (await settled(session))[nas.client]
        assert (target.state, target.reason, target.sayer) == (Progress.REFUSED, Reason.GRANT_EXPIRED, Sayer.PEER)
        assert [member.client for member in session.members if member.state is not MemberState.OUT] == [laptop.client]
